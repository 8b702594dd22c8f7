//! Pure parsers of the kernel's file formats: numbers, flat keyed and nested keyed lines.
