//! Pure parsers of the kernel's file formats: numbers, flat keyed and nested keyed lines.
//!
//! They allocate nothing and never panic. Which key means what is the business of [`super::v1`] and
//! [`super::v2`]. An unknown key is skipped, because newer kernels add some; a known key with a bad
//! value is a fault, which costs that field alone.
//!
//! Source: Linux `Documentation/admin-guide/cgroup-v2.rst`, section "Format".

use std::time::Duration;

use super::{CpuQuota, DeviceIo, Limit, Stalls};
use crate::faults::Kind;

/// What parsing came to: `Err` when some part was left out, and why.
pub type Outcome = Result<(), Kind>;

/// Most block devices kept of one cgroup.
pub const MAX_DEVICES: usize = 32;

/// Lines without their line feeds, empty ones left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// What spaces and tabs separate.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n')).filter(|word| !word.is_empty())
}

/// A decimal number and nothing else.
///
/// # Errors
/// [`Kind::Malformed`] for anything else, and for what does not fit in 64 bits.
pub fn digits(word: &[u8]) -> Result<u64, Kind> {
    if word.is_empty() {
        return Err(Kind::Malformed);
    }
    let mut value = 0_u64;
    for &byte in word {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Kind::Malformed);
        }
        let next = value.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit)));
        value = next.ok_or(Kind::Malformed)?;
    }
    Ok(value)
}

/// A file with one number, such as `memory.current`.
///
/// # Errors
/// [`Kind::Malformed`] when it holds something else.
pub fn number(text: &[u8]) -> Result<u64, Kind> {
    digits(text.trim_ascii())
}

/// A file with one limit: a number, `max`, or what v1 writes for "none" (`-1`, or close to 2^63).
///
/// # Errors
/// [`Kind::Malformed`] when it holds something else.
pub fn limit(text: &[u8]) -> Result<Limit<u64>, Kind> {
    // v1 writes the largest page-aligned counter, which differs with the page size.
    const UNLIMITED: u64 = 1 << 62;
    match text.trim_ascii() {
        b"max" | b"-1" => Ok(Limit::Max),
        word => {
            digits(word).map(|value| if value >= UNLIMITED { Limit::Max } else { Limit::At(value) })
        }
    }
}

/// The lines of a flat keyed file such as `memory.stat`: key and value as text.
///
/// A line without a value has an empty one, which no known key takes.
pub fn flat(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(text).map(|line| match line.iter().position(|&byte| byte == b' ') {
        Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
        None => (line, &[][..]),
    })
}

/// Sets `field` to the number in `word`, or notes in `outcome` that it is none.
pub fn set(field: &mut Option<u64>, word: &[u8], outcome: &mut Outcome) {
    keep(field, digits(word), outcome);
}

/// Sets `field` to `value`, or notes in `outcome` why there is none.
pub fn keep<T>(field: &mut Option<T>, value: Result<T, Kind>, outcome: &mut Outcome) {
    match value {
        Ok(value) => *field = Some(value),
        Err(kind) => {
            *field = None;
            *outcome = Err(kind);
        }
    }
}

/// `cpu.max`: quota and period in µs, the quota may be `max`.
///
/// # Errors
/// [`Kind::Malformed`] when it holds something else.
pub fn cpu_max(text: &[u8]) -> Result<CpuQuota, Kind> {
    let mut words = words(text);
    let (Some(quota), Some(period), None) = (words.next(), words.next(), words.next()) else {
        return Err(Kind::Malformed);
    };
    let quota = match limit(quota)? {
        Limit::Max => Limit::Max,
        Limit::At(micros) => Limit::At(Duration::from_micros(micros)),
    };
    Ok(CpuQuota { quota, period: Duration::from_micros(digits(period)?) })
}

/// A pressure file: the `total` of its lines `some` and `full`.
///
/// # Errors
/// [`Kind::Malformed`] when the line `some` is missing or a total is no number.
pub fn pressure(text: &[u8]) -> Result<Stalls, Kind> {
    let mut some = None;
    let mut full = None;
    for line in lines(text) {
        let field = match words(line).next() {
            Some(b"some") => &mut some,
            Some(b"full") => &mut full,
            _ => continue,
        };
        let total =
            words(line).find_map(|word| word.strip_prefix(b"total=")).ok_or(Kind::Malformed)?;
        *field = Some(Duration::from_micros(digits(total)?));
    }
    Ok(Stalls { some: some.ok_or(Kind::Malformed)?, full })
}

/// `major:minor`.
#[must_use]
pub fn device(word: &[u8]) -> Option<(u32, u32)> {
    let at = word.iter().position(|&byte| byte == b':')?;
    let part = |word: &[u8]| u32::try_from(digits(word).ok()?).ok();
    Some((part(&word[..at])?, part(&word[at + 1..])?))
}

/// The row of a device, made if it is new.
///
/// # Errors
/// [`Kind::Bounded`] beyond [`MAX_DEVICES`].
pub fn device_row(rows: &mut Vec<DeviceIo>, device: (u32, u32)) -> Result<&mut DeviceIo, Kind> {
    match rows.iter().position(|row| row.device == device) {
        Some(at) => Ok(&mut rows[at]),
        None if rows.len() >= MAX_DEVICES => Err(Kind::Bounded),
        None => {
            rows.push(DeviceIo { device, ..DeviceIo::default() });
            rows.last_mut().ok_or(Kind::Bounded)
        }
    }
}

/// v2 `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
///
/// Read word by word, not line by line: some kernels write a device without keys and leave out its
/// line feed, so that the next device follows on the same line. Such a device has no row.
///
/// # Errors
/// [`Kind::Malformed`] for a bad number, which leaves 0 in its field; [`Kind::Bounded`] for too many devices.
pub fn io_stat(text: &[u8], rows: &mut Vec<DeviceIo>) -> Outcome {
    let mut outcome = Ok(());
    let mut current = None;
    for word in words(text) {
        let Some(at) = word.iter().position(|&byte| byte == b'=') else {
            current = device(word);
            if current.is_none() {
                outcome = Err(Kind::Malformed);
            }
            continue;
        };
        let (key, value) = (&word[..at], &word[at + 1..]);
        if !matches!(key, b"rbytes" | b"wbytes" | b"rios" | b"wios") {
            continue;
        }
        let row = current.ok_or(Kind::Malformed).and_then(|device| device_row(rows, device));
        match (row, digits(value)) {
            (Ok(row), Ok(value)) => match key {
                b"rbytes" => row.read_bytes = value,
                b"wbytes" => row.write_bytes = value,
                b"rios" => row.reads = value,
                _ => row.writes = value,
            },
            (Err(kind), _) | (_, Err(kind)) => outcome = Err(kind),
        }
    }
    outcome
}

/// v1 `blkio.throttle.*`: lines `8:0 Read 123`, and `Total 5` at the end.
///
/// `set` gets the row, whether it is the `Read` line (else `Write`), and the value.
///
/// # Errors
/// As for [`io_stat`].
pub fn blkio(text: &[u8], rows: &mut Vec<DeviceIo>, set: fn(&mut DeviceIo, bool, u64)) -> Outcome {
    let mut outcome = Ok(());
    for line in lines(text) {
        let mut words = words(line);
        let (name, operation, value) = (words.next(), words.next(), words.next());
        let is_read = match (name, operation) {
            // `Sync`, `Async`, `Discard` and each device's `Total` tell nothing new.
            (Some(b"Total"), _) => continue,
            (_, Some(b"Read")) => true,
            (_, Some(b"Write")) => false,
            (Some(_), Some(_)) => continue,
            _ => {
                outcome = Err(Kind::Malformed);
                continue;
            }
        };
        let device = name.and_then(device).ok_or(Kind::Malformed);
        let value = value.ok_or(Kind::Malformed).and_then(digits);
        match device
            .and_then(|device| Ok((device, value?)))
            .and_then(|(device, value)| Ok((device_row(rows, device)?, value)))
        {
            Ok((row, value)) => set(row, is_read, value),
            Err(kind) => outcome = Err(kind),
        }
    }
    outcome
}

#[cfg(test)]
mod tests;
