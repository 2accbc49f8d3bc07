//! The table that names a region's signals, byte by byte, and its copy in private memory.
//!
//! ```text
//! records   16 bytes for each signal: name length u16 | unit length u16 | type u32 | zero u64
//! texts     in the order of the records, without gaps: name, then unit; UTF-8, no zero behind it
//! ```
//!
//! The region's creator writes the table before the region has its name; afterwards nobody does, or
//! may. Each process copies it once, at its open, and checks and uses the copy only.

use crate::error::{Error, Result};
use crate::memory::zeroed::{Table, Zeroable};
use libc::{c_char, c_int};
use std::ffi::CStr;
use std::fmt;

/// Bytes of a record.
const RECORD: usize = 16;
/// The most bytes of a name.
const MOST_NAME: usize = 255;
/// The most bytes of a unit.
const MOST_UNIT: usize = 63;

/// What the values of a signal are. The numbers are VILLASnode's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalType {
    /// A double.
    Float = 1,
    /// A signed integer of 64 bits.
    Integer = 2,
    /// True or false.
    Boolean = 3,
    /// Two floats: real, imaginary.
    Complex = 4,
}

impl SignalType {
    pub(crate) fn from_number(number: i64) -> Option<SignalType> {
        use SignalType::{Boolean, Complex, Float, Integer};
        [Float, Integer, Boolean, Complex].into_iter().find(|&kind| kind as i64 == number)
    }
}

/// As VILLASnode's configuration has it.
impl fmt::Display for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SignalType::Float => "float",
            SignalType::Integer => "integer",
            SignalType::Boolean => "boolean",
            SignalType::Complex => "complex",
        })
    }
}

/// What a value of a sample is: its name, unit and type. The first value of a sample is that of the
/// first signal, and so on.
///
/// ```
/// use villas_shm::{Signal, SignalType};
/// let voltage = Signal::new("u_a", "V", SignalType::Float);
/// assert_eq!((voltage.name(), voltage.unit()), ("u_a", "V"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signal {
    name: Box<str>,
    unit: Box<str>,
    kind: SignalType,
}

impl Signal {
    /// A signal with a name of 1 to 255 bytes and a unit of at most 63 (empty: none), both without
    /// control characters. The call that makes the region checks them.
    pub fn new(name: impl Into<Box<str>>, unit: impl Into<Box<str>>, kind: SignalType) -> Signal {
        Signal { name: name.into(), unit: unit.into(), kind }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its unit; empty: none.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// What its values are.
    pub fn kind(&self) -> SignalType {
        self.kind
    }

    pub(crate) fn borrow(&self) -> SignalRef<'_> {
        SignalRef { name: &self.name, unit: &self.unit, kind: self.kind }
    }
}

/// A signal whose texts are elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct SignalRef<'t> {
    pub(crate) name: &'t str,
    pub(crate) unit: &'t str,
    pub(crate) kind: SignalType,
}

impl SignalRef<'_> {
    /// What is wrong with it.
    fn fault(&self) -> Option<String> {
        if self.name.is_empty() {
            return Some("has no name".into());
        }
        for (what, text, most) in [("name", self.name, MOST_NAME), ("unit", self.unit, MOST_UNIT)] {
            if text.len() > most {
                return Some(format!("has a {what} of {} bytes, but at most {most} are possible", text.len()));
            }
            if text.contains(char::is_control) {
                return Some(format!("has a control character in its {what}, {text:?}"));
            }
        }
        None
    }

    fn length(&self) -> usize {
        self.name.len() + self.unit.len()
    }
}

/// For people.
impl fmt::Display for SignalRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.name)?;
        if !self.unit.is_empty() {
            write!(f, " [{}]", self.unit)?;
        }
        write!(f, ", {}", self.kind)
    }
}

/// Bytes that a table of `count` signals can have: least and most.
pub(crate) fn possible_size(count: u64) -> (u64, u64) {
    (count * (RECORD as u64 + 1), count * (RECORD + MOST_NAME + MOST_UNIT) as u64)
}

/// Bytes of the table of these signals.
pub(crate) fn size<'t>(signals: impl Iterator<Item = SignalRef<'t>>) -> u64 {
    signals.map(|signal| (RECORD + signal.length()) as u64).sum()
}

/// The table of signals that have been checked.
pub(crate) fn encode<'t>(signals: impl Iterator<Item = SignalRef<'t>> + Clone) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size(signals.clone()) as usize);
    for signal in signals.clone() {
        bytes.extend_from_slice(&(signal.name.len() as u16).to_ne_bytes());
        bytes.extend_from_slice(&(signal.unit.len() as u16).to_ne_bytes());
        bytes.extend_from_slice(&(signal.kind as u32).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
    }
    for signal in signals {
        bytes.extend_from_slice(signal.name.as_bytes());
        bytes.extend_from_slice(signal.unit.as_bytes());
    }
    bytes
}

/// Copies the table at `from`, which a hostile process may be changing: each byte is read once.
///
/// # Safety
/// At `from` are `size` mapped bytes.
pub(crate) unsafe fn copy(from: *const u8, size: u64) -> Result<Table<u8>> {
    let mut copy = Table::new(size as usize, "a copy of the table of signals")?;
    for (at, to) in copy.iter_mut().enumerate() {
        // SAFETY: within those bytes.
        *to = unsafe { from.add(at).read_volatile() };
    }
    Ok(copy)
}

fn inconsistent(why: &str) -> Error {
    Error::corrupt(format!("the region's table of signals is inconsistent: {why}"))
}

/// Reads a private copy of a table of `count` signals. [`SignalTable::checked`] does the rest of
/// the checks.
pub(crate) fn decode(bytes: &[u8], count: usize) -> Result<Vec<SignalRef<'_>>> {
    let Some((records, mut texts)) = count.checked_mul(RECORD).and_then(|end| bytes.split_at_checked(end)) else {
        return Err(inconsistent(&format!("{} bytes cannot hold {count} signals", bytes.len())));
    };
    let mut signals = Vec::new();
    signals.try_reserve_exact(count).map_err(|_| Error::new(libc::ENOMEM, format!("no memory for {count} signals")))?;
    for (at, record) in records.chunks_exact(RECORD).enumerate() {
        let wrong = |why: String| inconsistent(&format!("signal {at} {why}"));
        let half = |at: usize| usize::from(u16::from_ne_bytes([record[at], record[at + 1]]));
        let kind = u32::from_ne_bytes([record[4], record[5], record[6], record[7]]);
        let Some(kind_known) = SignalType::from_number(kind.into()) else {
            return Err(wrong(format!("has type {kind}, but must have 1 to 4")));
        };
        if record[8..] != [0; 8] {
            return Err(wrong("has a reserved field that is not zero".into()));
        }
        let mut text = |length: usize| {
            let (text, rest) = texts.split_at_checked(length).ok_or_else(|| wrong("has texts beyond the end".into()))?;
            texts = rest;
            std::str::from_utf8(text).map_err(|_| wrong("has a text that is not UTF-8".into()))
        };
        signals.push(SignalRef { name: text(half(0))?, unit: text(half(2))?, kind: kind_known });
    }
    if texts.is_empty() { Ok(signals) } else { Err(inconsistent(&format!("{} bytes follow the last text", texts.len()))) }
}

/// A signal as a C program sees it: `struct shmem_signal`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SignalEntry {
    name: *const c_char,
    unit: *const c_char,
    kind: c_int,
    /// Of the entry at position n: which entry is the nth in the order of names. In C, padding.
    by_name: u32,
}

// SAFETY: pointers that may be null, and integers.
unsafe impl Zeroable for SignalEntry {}
// SAFETY: the texts lie in the same table as the entry, and nobody changes either.
unsafe impl Send for SignalEntry {}
// SAFETY: as above.
unsafe impl Sync for SignalEntry {}

/// Where the list of no signals begins: [`SignalTable::entries`] never leads nowhere.
static NO_SIGNAL: SignalEntry = SignalEntry { name: c"".as_ptr(), unit: c"".as_ptr(), kind: 0, by_name: 0 };

/// The checked signals of one direction in private memory: the entries, then their texts with a
/// zero behind each. A signal handler may drop it, as [`Table`] says.
#[derive(Default)]
pub(crate) struct SignalTable {
    /// `None`: there are no signals.
    memory: Option<Table<SignalEntry>>,
    count: usize,
}

// SAFETY: nobody changes what is in it.
unsafe impl Sync for SignalTable {}

impl SignalTable {
    /// Copies what [`decode`] found in a region.
    pub(crate) fn checked(signals: &[SignalRef<'_>]) -> Result<SignalTable> {
        SignalTable::new(signals, |why| inconsistent(&why))
    }

    /// Copies signals; `wrong` makes the error if they cannot stand together in a direction.
    pub(crate) fn new(signals: &[SignalRef<'_>], wrong: impl Fn(String) -> Error) -> Result<SignalTable> {
        if let Some((at, fault)) = signals.iter().enumerate().find_map(|(at, signal)| Some((at, signal.fault()?))) {
            return Err(wrong(format!("signal {at} {fault}")));
        }
        let name_of = |at: u32| signals[at as usize].name;
        // Sorted, because 65 536 names compared in pairs would take minutes.
        let mut order: Vec<u32> = (0..signals.len() as u32).collect();
        order.sort_unstable_by_key(|&at| (name_of(at), at));
        if let Some(twice) = order.windows(2).find(|pair| name_of(pair[0]) == name_of(pair[1])) {
            return Err(wrong(format!("signals {} and {} have one name, \"{}\"", twice[0], twice[1], name_of(twice[0]))));
        }
        if signals.is_empty() {
            return Ok(SignalTable::default());
        }
        let bytes: usize = signals.iter().map(|signal| signal.length() + 2).sum();
        let room = signals.len() + bytes.div_ceil(size_of::<SignalEntry>());
        let mut memory = Table::<SignalEntry>::new(room, "the names of the signals")?;
        let (entries, texts) = memory.split_at_mut(signals.len());
        let mut to = texts.as_mut_ptr().cast::<u8>();
        let mut keep = |text: &str| {
            let kept = to.cast_const().cast::<c_char>();
            // SAFETY: there is room for all texts and the zeros behind them, which are there
            // already.
            unsafe {
                to.copy_from_nonoverlapping(text.as_ptr(), text.len());
                to = to.add(text.len() + 1);
            }
            kept
        };
        for ((entry, signal), by_name) in entries.iter_mut().zip(signals).zip(order) {
            *entry = SignalEntry { name: keep(signal.name), unit: keep(signal.unit), kind: signal.kind as c_int, by_name };
        }
        Ok(SignalTable { memory: Some(memory), count: signals.len() })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn entries(&self) -> &[SignalEntry] {
        self.memory.as_ref().map_or(&[], |memory| &memory[..self.count])
    }

    /// The first of [`SignalTable::len`] entries.
    pub(crate) fn first(&self) -> *const SignalEntry {
        self.memory.as_ref().map_or(&raw const NO_SIGNAL, |memory| memory.as_ptr())
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = SignalRef<'_>> + Clone {
        self.entries().iter().map(SignalEntry::read)
    }

    pub(crate) fn to_vec(&self) -> Vec<Signal> {
        self.iter().map(|signal| Signal::new(signal.name, signal.unit, signal.kind)).collect()
    }

    /// Which signal has this name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let entries = self.entries();
        // The nth position is compared by the name that is nth in order, not by its own.
        let nth = entries.binary_search_by(|entry| entries[entry.by_name as usize].read().name.cmp(name)).ok()?;
        Some(entries[nth].by_name as usize)
    }
}

impl SignalEntry {
    /// Where `kind` is.
    #[allow(dead_code)] // without the C interface
    pub(crate) const KIND_AT: usize = std::mem::offset_of!(SignalEntry, kind);

    fn read(&self) -> SignalRef<'_> {
        // SAFETY: the table has set both, to UTF-8 with a zero behind it; they stay as long as it.
        let [name, unit] =
            [self.name, self.unit].map(|text| unsafe { std::str::from_utf8_unchecked(CStr::from_ptr(text).to_bytes()) });
        SignalRef { name, unit, kind: SignalType::from_number(self.kind.into()).unwrap_or(SignalType::Float) }
    }
}

#[cfg(test)]
#[path = "../tests/unit/layout/signals.rs"]
mod tests;
