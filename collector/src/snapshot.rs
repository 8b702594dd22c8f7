//! One tick, joined: all that an exporter sees.
