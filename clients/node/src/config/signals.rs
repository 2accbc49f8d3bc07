//! The `signals` of a node or of one of its directions, in all forms that VILLASnode accepts.

use std::collections::HashMap;

use super::value::{ConfigError, Data, Ignored, Place, Setting, Value, suggestion};
use crate::signals::{MAX_SIGNALS, Signal, SignalType, Signals};

/// The most bytes of a name and of a unit that a region holds.
const MOST_NAME: usize = 255;
const MOST_UNIT: usize = 63;

/// A signal, while its keys are read.
struct Model {
    name: String,
    unit: String,
    kind: SignalType,
}

impl Default for Model {
    fn default() -> Model {
        Model { name: String::new(), unit: String::new(), kind: SignalType::Float }
    }
}

/// Reads `"64f"`, `{ count = 8, type = "float", name = "u" }`, or a list of `{ name, unit, type }`.
/// `full_name` is the setting's name for messages, such as `in.signals`.
pub(super) fn read(setting: &Setting, full_name: &str, ignored: &mut Ignored) -> Result<Signals, ConfigError> {
    match &setting.value.data {
        Data::Text(text) => text.parse().map_err(|error| ConfigError::at(&setting.value.place, error)),
        Data::Group(settings) => repeated(setting, settings, full_name, ignored),
        Data::List(list) => {
            if list.len() > MAX_SIGNALS {
                let message = format!("{} signals, but a sample has room for {MAX_SIGNALS}", list.len());
                return Err(ConfigError::at(&setting.place, message));
            }
            let signals = Signals::new(list.iter().map(|value| one(value, full_name, ignored)).collect::<Result<_, _>>()?);
            check_names(&signals, list, full_name)?;
            Ok(signals)
        }
        _ => Err(ConfigError::at(
            &setting.value.place,
            "\"signals\" must be a list of signals, a count and a type, or types such as \"64f\"",
        )),
    }
}

/// A program finds a signal by its name.
fn check_names(signals: &Signals, list: &[Value], full_name: &str) -> Result<(), ConfigError> {
    let mut seen = HashMap::new();
    for (at, value) in list.iter().enumerate() {
        let name = signals.name(at);
        if let Some(first) = seen.insert(name.clone(), at) {
            let message = format!("signals {first} and {at} of \"{full_name}\" have one name, \"{name}\"");
            return Err(ConfigError::at(&value.place, message));
        }
    }
    Ok(())
}

/// Several equal signals: each name is the given one followed by the index.
fn repeated(signals: &Setting, settings: &[Setting], full_name: &str, ignored: &mut Ignored) -> Result<Signals, ConfigError> {
    let mut count = None;
    let mut model = Model::default();
    for setting in settings {
        match setting.name.as_str() {
            "count" => count = Some(setting.count(MAX_SIGNALS as u32)?),
            _ => property(setting, &mut model, &["count", "name", "unit", "type"], full_name, ignored)?,
        }
    }
    let count = count.ok_or_else(|| ConfigError::at(&signals.place, "\"signals\" has no \"count\""))?;
    let name = |index| if model.name.is_empty() { String::new() } else { format!("{}{index}", model.name) };
    check_length(&signals.place, "name", &name(count - 1), MOST_NAME)?;
    Ok(Signals::new((0..count).map(|index| Signal::new(name(index), &*model.unit, model.kind)).collect()))
}

fn one(value: &Value, full_name: &str, ignored: &mut Ignored) -> Result<Signal, ConfigError> {
    let Data::Group(settings) = &value.data else {
        return Err(ConfigError::at(&value.place, "a signal must be a group with name, unit, type"));
    };
    let mut signal = Model::default();
    for setting in settings {
        property(setting, &mut signal, &["name", "unit", "type"], full_name, ignored)?;
    }
    Ok(Signal::new(signal.name, signal.unit, signal.kind))
}

fn property(
    setting: &Setting,
    signal: &mut Model,
    known: &[&str],
    full_name: &str,
    ignored: &mut Ignored,
) -> Result<(), ConfigError> {
    match setting.name.as_str() {
        "name" => signal.name = word(setting, MOST_NAME)?,
        "unit" => signal.unit = word(setting, MOST_UNIT)?,
        "type" => signal.kind = signal_type(setting)?,
        // A start value for hooks and paths, which do not exist here.
        "init" => ignored.add(&setting.place, &format!("{full_name}.init")),
        // VILLASnode 1.2 itself ignores it.
        "enabled" => ignored.add_enabled(setting, &format!("{full_name}.enabled"))?,
        name => {
            let message = format!("unknown key \"{name}\" in \"signals\"{}", suggestion(name, known));
            return Err(ConfigError::at(&setting.place, message));
        }
    }
    Ok(())
}

/// A name or unit, as a region can hold it.
fn word(setting: &Setting, most: usize) -> Result<String, ConfigError> {
    let text = setting.text()?;
    if text.contains(char::is_control) {
        let message = format!("\"{}\" must not contain tabs, line ends or other control characters", setting.name);
        return Err(ConfigError::at(&setting.value.place, message));
    }
    check_length(&setting.value.place, &setting.name, text, most)?;
    Ok(text.into())
}

fn check_length(place: &Place, key: &str, text: &str, most: usize) -> Result<(), ConfigError> {
    let length = text.len();
    if length <= most {
        return Ok(());
    }
    Err(ConfigError::at(place, format!("\"{key}\" has {length} bytes, but must have at most {most}")))
}

fn signal_type(setting: &Setting) -> Result<SignalType, ConfigError> {
    use SignalType::{Boolean, Complex, Float, Integer};
    let name = setting.text()?;
    [Float, Integer, Boolean, Complex].into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| {
        let message = format!("\"{name}\" is not a signal type (float, integer, boolean, complex)");
        ConfigError::at(&setting.value.place, message)
    })
}
