//! Which paths may be asked for at all.

/// Whether a path means the same to everyone who reads it. A backend that resolves `..` would serve what another
/// route is for, so these are not plain: `.` and `..` as segments, also percent-encoded, behind an encoded
/// separator or with parameters (`..;x`, which Java's servers cut off); an encoded NUL; white space, control
/// bytes, `\`, `#` and `?`; and whatever does not begin with a slash.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let is_forbidden = |byte: u8| byte <= b' ' || matches!(byte, 0x7f | b'\\' | b'#' | b'?');
    if !path.starts_with('/') || path.bytes().any(is_forbidden) {
        return false;
    }
    // How many dots the segment has so far; `None` once it has anything else.
    let mut dots = Some(0_usize);
    let is_relative = |dots: Option<usize>| matches!(dots, Some(1 | 2));
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = decoded(rest) {
        match byte {
            0 => return false,
            b'/' | b'\\' | b';' if is_relative(dots) => return false,
            b'/' | b'\\' => dots = Some(0),
            b'.' => dots = dots.map(|dots| dots + 1),
            _ => dots = None,
        }
        rest = after;
    }
    !is_relative(dots)
}

/// The next byte, decoded if it is percent-encoded, and what follows it.
fn decoded(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    if let [b'%', high, low, rest @ ..] = bytes
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((u8::try_from(high << 4 | low).unwrap_or_default(), rest));
    }
    bytes.split_first().map(|(byte, rest)| (*byte, rest))
}
