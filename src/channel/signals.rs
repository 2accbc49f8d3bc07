//! What the values of a channel's samples are: the names, units and types that its region holds.
//!
//! The table is checked and copied to private memory once, when a side is taken
//! (`layout::signals`). Directions are those of the side: what a node writes is what its program
//! reads.

use super::backend::Backend;
use super::config::Config;
use super::handle::ChannelHandle;
use crate::error::{Error, Result};
use crate::layout::channel::{ChannelFacts, ChannelView};
use crate::layout::signals::{self, Signal, SignalRef, SignalTable, SignalType};
use crate::protocol::channel_words::Side;
use std::fmt;

/// A direction of a channel, as this side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What this side reads.
    In = 0,
    /// What this side writes.
    Out = 1,
}

/// As the parameters of a channel have it.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::In => "in_signals",
            Direction::Out => "out_signals",
        })
    }
}

/// The signals of a side: of [`Direction::In`], of [`Direction::Out`].
pub(crate) type BothWays = [SignalTable; 2];

/// The signals that a side was asked to name.
pub(crate) fn asked_for(config: &Config, direction: Direction, most: u32) -> Result<SignalTable> {
    let signals = match direction {
        Direction::In => &config.in_signals,
        Direction::Out => &config.out_signals,
    };
    let wrong = |why| Error::invalid(format!("{direction}: {why}"));
    if signals.len() > most as usize {
        return Err(wrong(format!("there are {}, more than the {most} values of a sample", signals.len())));
    }
    SignalTable::new(&signals.iter().map(Signal::borrow).collect::<Vec<_>>(), wrong)
}

/// The facts of a region whose node names these signals, and their table.
pub(crate) fn with_signals(facts: ChannelFacts, [read, written]: &BothWays) -> Result<(ChannelFacts, Vec<u8>)> {
    let table = signals::encode(written.iter().chain(read.iter()));
    Ok((facts.with_signals([written.len() as u32, read.len() as u32], table.len() as u64)?, table))
}

/// The signals that the table in a region names, for this side.
pub(crate) fn of_region(view: &ChannelView, side: Side) -> Result<BothWays> {
    if view.facts().signals_size == 0 {
        return Ok(BothWays::default());
    }
    let table = view.copy_signals()?;
    let [to_program, to_node] = tables(view.facts(), &table)?;
    Ok(match side {
        Side::A => [to_node, to_program],
        Side::B => [to_program, to_node],
    })
}

/// The signals that a table names: of node to program, of program to node.
pub(crate) fn tables(facts: &ChannelFacts, table: &[u8]) -> Result<[SignalTable; 2]> {
    let counts = facts.signal_counts.map(|count| count as usize);
    let all = signals::decode(table, counts[0] + counts[1])?;
    let (to_program, to_node) = all.split_at(counts[0]);
    Ok([SignalTable::checked(to_program)?, SignalTable::checked(to_node)?])
}

/// A signal that a program expects. `None`: it takes any.
pub(crate) struct Expected<'e> {
    pub(crate) name: &'e str,
    pub(crate) unit: Option<&'e str>,
    pub(crate) kind: Option<SignalType>,
}

impl<'e> From<SignalRef<'e>> for Expected<'e> {
    fn from(signal: SignalRef<'e>) -> Expected<'e> {
        Expected { name: signal.name, unit: Some(signal.unit), kind: Some(signal.kind) }
    }
}

impl Expected<'_> {
    fn matches(&self, signal: &SignalRef<'_>) -> bool {
        self.name == signal.name
            && self.unit.is_none_or(|unit| unit == signal.unit)
            && self.kind.is_none_or(|kind| kind == signal.kind)
    }
}

/// For people.
impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if let Some(unit) = self.unit.filter(|unit| !unit.is_empty()) {
            write!(f, " [{}]", unit.escape_debug())?;
        }
        self.kind.map_or(Ok(()), |kind| write!(f, ", {kind}"))
    }
}

/// The first difference between the signals that a region names and those expected, if there is
/// one.
pub(crate) fn difference<'e>(named: &SignalTable, expected: impl ExactSizeIterator<Item = Expected<'e>>) -> Option<String> {
    let (count, wanted) = (named.len(), expected.len());
    if count == 0 && wanted > 0 {
        return Some(format!("none is named; {wanted} expected"));
    }
    let mut all = named.iter();
    for (at, expected) in expected.enumerate() {
        match all.next() {
            Some(signal) if expected.matches(&signal) => {}
            Some(signal) => return Some(format!("signal {at} is {signal}; expected {expected}")),
            None => return Some(format!("there are {count}; expected {wanted}, of which signal {at} is {expected}")),
        }
    }
    all.next().map(|signal| format!("there are {count}, of which signal {wanted} is {signal}; expected {wanted}"))
}

/// What differs between the signals of two nodes.
pub(crate) fn differences(found: &BothWays, wanted: &BothWays) -> Vec<String> {
    [Direction::In, Direction::Out]
        .into_iter()
        .filter_map(|direction| {
            let [found, wanted] = [found, wanted].map(|both| &both[direction as usize]);
            difference(found, wanted.iter().map(Expected::from)).map(|difference| format!("{direction}: {difference}"))
        })
        .collect()
}

/// Compares what a peer in VILLASnode's layout names with what was expected of it, if both are so
/// kind as to say.
pub(crate) fn check_peer(named: &SignalTable, expected: &SignalTable) -> Result<()> {
    if named.len() == 0 || expected.len() == 0 {
        return Ok(());
    }
    difference(named, expected.iter().map(Expected::from)).map_or(Ok(()), |why| Err(unexpected(Direction::In, &why)))
}

fn unexpected(direction: Direction, why: &str) -> Error {
    Error::new(libc::EPROTO, format!("the channel has other signals than expected, {direction}: {why}"))
}

/// Names in a sentence, at most; and bytes of them.
const MOST_NAMES: usize = 20;

/// Why there is no signal of this name.
fn no_such(named: &SignalTable, direction: Direction, name: &str) -> Error {
    let names = || named.iter().map(|signal| signal.name);
    let mut text = format!("{direction}: no signal is named {name:?}");
    if let Some(near) = names().find(|near| near.eq_ignore_ascii_case(name.trim())) {
        text += &format!("; is \"{near}\" meant?");
    }
    let shown: Vec<String> = names().take(MOST_NAMES).map(|name| format!("\"{name}\"")).collect();
    text += &match named.len() {
        0 => "; the region names none".into(),
        count if count > shown.len() => format!("; there are {} and {} more", shown.join(", "), count - shown.len()),
        _ => format!("; there are {}", shown.join(", ")),
    };
    Error::new(libc::ENOENT, text)
}

impl<E: Backend> ChannelHandle<E> {
    /// Looks at the signals that the region names; `EPIPE`: the channel is closed.
    pub(crate) fn signals<R>(&self, direction: Direction, look: impl FnOnce(&SignalTable) -> R) -> Result<R> {
        use super::backend::Liveness;
        self.look(|liveness| look(liveness.signals(direction))).ok_or_else(|| self.closed())
    }

    /// Which signal has this name; `ENOENT`: none.
    pub(crate) fn signal_index(&self, direction: Direction, name: &str) -> Result<usize> {
        self.signals(direction, |named| named.find(name).ok_or_else(|| no_such(named, direction, name)))?
    }

    /// `EPROTO` with the first difference if the region names other signals.
    pub(crate) fn expect_signals<'e>(
        &self,
        direction: Direction,
        expected: impl ExactSizeIterator<Item = Expected<'e>>,
    ) -> Result<()> {
        let difference = self.signals(direction, |named| difference(named, expected))?;
        difference.map_or(Ok(()), |why| Err(unexpected(direction, &why)))
    }
}
