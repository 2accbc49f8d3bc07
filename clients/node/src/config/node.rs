//! A node of type `shmem`: its keys and their defaults.

use super::signals;
use super::value::{ConfigError, Ignored, Place, Setting, suggestion};
use crate::signals::{MAX_SIGNALS, Signals};

/// The longest queue that a region can have.
const MAX_QUEUELEN: u32 = 1 << 20;

const DEFAULT_QUEUELEN: u32 = 512;
const DEFAULT_SAMPLELEN: u32 = 64;
/// So that `watch` sees all that passes at some ten thousand samples per second.
const DEFAULT_HISTORY: u32 = 64;
const MAX_HISTORY: u32 = 1 << 20;

/// Keys that VILLASnode's schema has and that have no effect here.
const IGNORED: [&str; 7] = ["affinity", "builtin", "fwmark", "hooks", "initial_sequenceno", "netem", "uuid"];

/// Keys with a meaning, for messages.
const NODE_KEYS: [&str; 12] =
    ["type", "name", "queuelen", "samplelen", "history", "mode", "polling", "vectorize", "exec", "signals", "in", "out"];
const DIRECTION_KEYS: [&str; 3] = ["name", "signals", "vectorize"];

/// One direction, seen from the node: `in` is what it receives.
#[derive(Debug, PartialEq, Eq)]
pub struct Direction {
    /// Its key in the file, which goes with it when the ends are swapped.
    pub key: &'static str,
    /// What the values mean.
    pub signals: Signals,
    /// How many samples are sent or received at once.
    pub vectorize: u32,
}

/// The regions in shared memory.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// One region with both directions, of this name.
    OneRegion(String),
    /// VILLASnode's layout: one region for each direction, whose names may be equal.
    TwoRegions {
        /// The region that the node reads.
        input: String,
        /// The region that the node writes.
        output: String,
    },
}

/// A node's configuration, with all defaults filled in.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// One region or two, and their names.
    pub layout: Layout,
    /// The length of each queue.
    pub queuelen: u32,
    /// The most values that a sample can have.
    pub samplelen: u32,
    /// How many other blocks a side uses before it uses a block again; of one region only.
    pub history: u32,
    /// Whether readers spin instead of sleeping.
    pub polling: bool,
    /// A program to start, and its arguments.
    pub exec: Option<Vec<String>>,
    /// What the node receives from the program.
    pub input: Direction,
    /// What the node sends to the program.
    pub output: Direction,
}

impl NodeConfig {
    /// Parses a node's settings; also returns a warning, if any.
    pub(super) fn from_setting(node: &Setting) -> Result<(Self, Option<String>), ConfigError> {
        let mut keys = Keys::default();
        // Before the keys: a node of another type has unknown keys, but its type is the error.
        check_type(node)?;
        for setting in node.group()? {
            keys.node(setting, &node.name)?;
        }
        let warning = keys.ignored.warning(&node.name);
        Ok((keys.finish(node)?, warning))
    }

    /// The same channel, seen from its other end.
    pub fn swap(&mut self) {
        std::mem::swap(&mut self.input, &mut self.output);
        if let Layout::TwoRegions { input, output } = &mut self.layout {
            std::mem::swap(input, output);
        }
    }
}

fn check_type(node: &Setting) -> Result<(), ConfigError> {
    let Some(kind) = super::find(node.group()?, "type") else {
        return Err(ConfigError::at(&node.place, format_args!("node \"{}\" has no \"type\"", node.name)));
    };
    match kind.text()? {
        "shmem" => Ok(()),
        other => Err(ConfigError::at(
            &kind.value.place,
            format_args!("node \"{}\" is of type \"{other}\"; this tool knows \"shmem\" only", node.name),
        )),
    }
}

/// The keys that stand in a node or in one of its directions.
#[derive(Default)]
struct Shared {
    name: Option<(String, Place)>,
    signals: Option<Signals>,
    vectorize: Option<u32>,
}

#[derive(Default)]
struct Keys {
    queuelen: Option<u32>,
    samplelen: Option<(u32, Place)>,
    history: Option<u32>,
    polling: Option<(bool, Place)>,
    exec: Option<Vec<String>>,
    both: Shared,
    input: Shared,
    output: Shared,
    ignored: Ignored,
}

impl Keys {
    fn node(&mut self, setting: &Setting, node: &str) -> Result<(), ConfigError> {
        match setting.name.as_str() {
            "type" => {}
            "name" => self.both.name = Some(region_name(setting)?),
            // VILLASnode's keys before `in` and `out`.
            "in_name" => self.input.name = Some(region_name(setting)?),
            "out_name" => self.output.name = Some(region_name(setting)?),
            "queuelen" => self.queuelen = Some(setting.count(MAX_QUEUELEN)?),
            "samplelen" => self.samplelen = Some((setting.count(MAX_SIGNALS as u32)?, setting.value.place.clone())),
            "history" => self.history = Some(setting.number(0..=MAX_HISTORY)?),
            "mode" => self.set_polling(mode(setting)?, setting)?,
            "polling" => self.set_polling(setting.boolean()?, setting)?,
            "exec" => self.exec = Some(program(setting)?),
            "signals" => self.both.signals = Some(signals::read(setting, "signals", &mut self.ignored)?),
            "vectorize" => self.both.vectorize = Some(setting.count(MAX_QUEUELEN)?),
            "in" | "out" => {
                for inner in setting.group()? {
                    self.direction(inner, &setting.name, node)?;
                }
            }
            // A user who names a node on the command line wants it.
            "enabled" => self.ignored.add_enabled(setting, "enabled")?,
            name if IGNORED.contains(&name) => self.ignored.add(&setting.place, name),
            name => return Err(unknown(setting, name, node)),
        }
        Ok(())
    }

    fn direction(&mut self, setting: &Setting, outer: &str, node: &str) -> Result<(), ConfigError> {
        let keys = if outer == "in" { &mut self.input } else { &mut self.output };
        let full_name = format!("{outer}.{}", setting.name);
        match setting.name.as_str() {
            "name" => keys.name = Some(region_name(setting)?),
            "signals" => keys.signals = Some(signals::read(setting, &full_name, &mut self.ignored)?),
            "vectorize" => keys.vectorize = Some(setting.count(MAX_QUEUELEN)?),
            // Likewise: -r and -s of the command line choose a direction.
            "enabled" => self.ignored.add_enabled(setting, &full_name)?,
            name if IGNORED.contains(&name) => self.ignored.add(&setting.place, &full_name),
            _ => return Err(unknown(setting, &full_name, node)),
        }
        Ok(())
    }

    /// `mode` and `polling` have the same meaning and must agree.
    fn set_polling(&mut self, polling: bool, setting: &Setting) -> Result<(), ConfigError> {
        if let Some((other, place)) = &self.polling {
            if *other != polling {
                let set = if setting.name == "mode" { "polling" } else { "mode" };
                let message = format!("\"{}\" contradicts \"{set}\" at {place}", setting.name);
                return Err(ConfigError::at(&setting.place, message));
            }
        }
        self.polling = Some((polling, setting.place.clone()));
        Ok(())
    }

    fn finish(self, node: &Setting) -> Result<NodeConfig, ConfigError> {
        let layout = self.layout(node)?;
        let Self { both, input, output, .. } = self;
        let direction = |key, keys: Shared| Direction {
            key,
            signals: keys.signals.or_else(|| both.signals.clone()).unwrap_or_default(),
            vectorize: keys.vectorize.or(both.vectorize).unwrap_or(1),
        };
        let (input, output) = (direction("in", input), direction("out", output));
        let signals = input.signals.len().max(output.signals.len()) as u32;
        let samplelen = match self.samplelen {
            // A region names only values that a sample can have.
            Some((samplelen, place)) if samplelen < signals => {
                let message = format!("\"samplelen\" is {samplelen}, but there are {signals} signals: leave it out, or raise it");
                return Err(ConfigError::at(&place, message));
            }
            Some((samplelen, _)) => samplelen,
            None if signals == 0 => DEFAULT_SAMPLELEN,
            None => signals,
        };
        let vectorize = input.vectorize.max(output.vectorize);
        Ok(NodeConfig {
            layout,
            queuelen: self.queuelen.unwrap_or(DEFAULT_QUEUELEN.max(vectorize)),
            samplelen,
            history: self.history.unwrap_or(DEFAULT_HISTORY),
            polling: self.polling.is_some_and(|(polling, _)| polling),
            exec: self.exec,
            input,
            output,
        })
    }

    /// `name`, or `in.name` and `out.name`.
    fn layout(&self, node: &Setting) -> Result<Layout, ConfigError> {
        let missing = |place: &Place, what| ConfigError::at(place, format_args!("node \"{}\" has {what}", node.name));
        match (&self.both.name, &self.input.name, &self.output.name) {
            (Some((name, _)), None, None) => Ok(Layout::OneRegion(name.clone())),
            (None, Some((input, _)), Some((output, _))) => {
                Ok(Layout::TwoRegions { input: input.clone(), output: output.clone() })
            }
            (None, None, None) => {
                Err(missing(&node.place, "no \"name\" for its region, and no \"in.name\" and \"out.name\" for two"))
            }
            (None, Some((_, place)), None) => Err(missing(place, "an \"in.name\", but no \"out.name\"")),
            (None, None, Some((_, place))) => Err(missing(place, "an \"out.name\", but no \"in.name\"")),
            (Some((_, place)), ..) => Err(missing(place, "a \"name\" for one region and another in \"in\" or \"out\"")),
        }
    }
}

fn region_name(setting: &Setting) -> Result<(String, Place), ConfigError> {
    match setting.text()? {
        "" => Err(ConfigError::at(&setting.value.place, "\"name\" is empty")),
        name => Ok((name.into(), setting.place.clone())),
    }
}

fn mode(setting: &Setting) -> Result<bool, ConfigError> {
    match setting.text()? {
        "pthread" => Ok(false),
        "polling" => Ok(true),
        other => Err(ConfigError::at(
            &setting.value.place,
            format_args!("\"mode\" is \"{other}\", but must be \"pthread\" or \"polling\""),
        )),
    }
}

fn program(setting: &Setting) -> Result<Vec<String>, ConfigError> {
    let words = setting.texts()?;
    let wrong = match words.first() {
        None => "\"exec\" names no program",
        Some(name) if name.is_empty() => "\"exec\" has an empty name of a program",
        _ if words.iter().any(|word| word.contains('\0')) => "\"exec\" contains a zero byte",
        _ => return Ok(words),
    };
    Err(ConfigError::at(&setting.value.place, wrong))
}

fn unknown(setting: &Setting, name: &str, node: &str) -> ConfigError {
    let known = if name.contains('.') { &DIRECTION_KEYS[..] } else { &NODE_KEYS };
    let suggestion = suggestion(&setting.name, known);
    ConfigError::at(&setting.place, format_args!("unknown key \"{name}\" in node \"{node}\"{suggestion}"))
}
