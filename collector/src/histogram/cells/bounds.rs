//! Where the cells begin and end, and which one a duration belongs to. All of it is worked out by the compiler.

use super::super::REQUEST_SECONDS;

/// Each doubling has 2^3 buckets.
pub(super) const SCALE: i8 = 3;
const PER_DOUBLING: i32 = 1 << SCALE;
/// The first exponential bucket begins at 2^-20 s, just below 1 µs, and takes all that is shorter too.
pub(super) const FIRST: i32 = -20 * PER_DOUBLING;
/// The last one ends at 2^10 s and takes all that is longer too.
const LAST: i32 = 10 * PER_DOUBLING - 1;
const EXPONENTIAL: usize = 240;
const _: () = assert!(LAST - FIRST + 1 == 240);

/// The conventions' buckets, the one above all bounds included.
pub(super) const CLASSIC: usize = REQUEST_SECONDS.len() + 1;
/// Their bounds that are powers of two as well: 0.25, 0.5 and 1 s.
const SHARED: usize = 3;

/// One for zero, then the pieces between two neighbouring bounds of either kind.
pub(super) const CELLS: usize = 1 + EXPONENTIAL + REQUEST_SECONDS.len() - SHARED;

/// 2^(i/8) with 63 binary digits after the point.
const ROOTS: [u64; PER_DOUBLING as usize] = [
    0x8000_0000_0000_0000,
    0x8b95_c1e3_ea8b_d6e6,
    0x9837_f051_8db8_a96f,
    0xa5fe_d6a9_b151_38ea,
    0xb504_f333_f9de_6484,
    0xc567_2a11_5506_dadd,
    0xd744_fcca_d69d_6af4,
    0xeac0_c6e7_dd24_392e,
];

pub(super) struct Table {
    /// The longest duration of each cell, in nanoseconds.
    pub(super) most: [u64; CELLS],
    /// Which exponential bucket it lies in, counted from [`FIRST`]; means nothing for zero's.
    pub(super) exponential: [u8; CELLS],
    /// Which of the conventions' buckets it lies in.
    pub(super) classic: [u8; CELLS],
}

pub(super) static TABLE: Table = TABLE_VALUE;
const TABLE_VALUE: Table = table();

/// The end of an exponential bucket in whole nanoseconds: a duration of whole nanoseconds is at most the bound
/// exactly when it is at most this. No bound but the whole ones is within 2 ps of a whole nanosecond, and the
/// roots are good for less than a thousandth of that.
#[expect(clippy::cast_possible_truncation, reason = "asserted")]
const fn end_of(bucket: i32) -> u64 {
    let exponent = bucket + 1;
    let root = ROOTS[exponent.rem_euclid(PER_DOUBLING) as usize] as u128;
    let nanos = (root * 1_000_000_000) >> (63 - exponent.div_euclid(PER_DOUBLING));
    assert!(nanos < u64::MAX as u128);
    nanos as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "worked out by the compiler, small, and checked by the assertions"
)]
const fn table() -> Table {
    let mut table = Table { most: [0; CELLS], exponential: [0; CELLS], classic: [0; CELLS] };
    let (mut cell, mut bucket, mut classic) = (1, 0, 0);
    while cell < CELLS {
        let exponential_end = end_of(FIRST + bucket as i32);
        let classic_end = if classic < REQUEST_SECONDS.len() {
            (REQUEST_SECONDS[classic] * 1e9) as u64
        } else {
            u64::MAX
        };
        table.most[cell] =
            if classic_end < exponential_end { classic_end } else { exponential_end };
        table.exponential[cell] = bucket as u8;
        table.classic[cell] = classic as u8;
        classic += (classic_end <= exponential_end) as usize;
        bucket += (exponential_end <= classic_end) as usize;
        cell += 1;
    }
    assert!(bucket == EXPONENTIAL && classic == REQUEST_SECONDS.len());
    table.most[CELLS - 1] = u64::MAX;
    table
}

/// For the position of a number's highest bit and the three bits behind it, the cell of the smallest such
/// number. Bounds lie so that the right cell is at most three further.
static STARTS: [u8; 64 * 8] = starts();

#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 cells")]
const fn starts() -> [u8; 64 * 8] {
    let mut starts = [1; 64 * 8];
    let (mut class, mut cell) = (3 * 8, 1);
    while class < 64 * 8 {
        let smallest = (8 + class as u64 % 8) << (class / 8 - 3);
        while TABLE_VALUE.most[cell] < smallest {
            cell += 1;
        }
        starts[class] = cell as u8;
        class += 1;
    }
    starts
}

/// The cell of a duration.
#[inline]
pub(super) fn cell(nanos: u64) -> usize {
    if nanos == 0 {
        return 0;
    }
    let highest = nanos.ilog2();
    let next = (nanos >> highest.saturating_sub(3)) & 7;
    let mut cell = usize::from(STARTS[highest as usize * 8 + next as usize]);
    while nanos > TABLE.most[cell] {
        cell += 1;
    }
    cell
}
