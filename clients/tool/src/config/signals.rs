//! The `signals` of a node or of one of its directions, in all forms that VILLASnode accepts.

use super::value::{ConfigError, Data, Ignored, Setting, Value, suggestion};
use crate::signals::{MAX_SIGNALS, Signal, SignalType, Signals};

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
            Ok(Signals::new(list.iter().map(|value| one(value, full_name, ignored)).collect::<Result<_, _>>()?))
        }
        _ => Err(ConfigError::at(
            &setting.value.place,
            "\"signals\" must be a list of signals, a count and a type, or types such as \"64f\"",
        )),
    }
}

/// Several equal signals: each name is the given one followed by the index.
fn repeated(signals: &Setting, settings: &[Setting], full_name: &str, ignored: &mut Ignored) -> Result<Signals, ConfigError> {
    let mut count = None;
    let mut model = Signal { name: None, unit: None, kind: SignalType::Float };
    for setting in settings {
        match setting.name.as_str() {
            "count" => count = Some(setting.count(MAX_SIGNALS as u32)?),
            _ => property(setting, &mut model, &["count", "name", "unit", "type"], full_name, ignored)?,
        }
    }
    let count = count.ok_or_else(|| ConfigError::at(&signals.place, "\"signals\" has no \"count\""))?;
    let name = |index| model.name.as_ref().map(|name| format!("{name}{index}"));
    Ok(Signals::new((0..count).map(|index| Signal { name: name(index), ..model.clone() }).collect()))
}

fn one(value: &Value, full_name: &str, ignored: &mut Ignored) -> Result<Signal, ConfigError> {
    let Data::Group(settings) = &value.data else {
        return Err(ConfigError::at(&value.place, "a signal must be a group with name, unit, type"));
    };
    let mut signal = Signal { name: None, unit: None, kind: SignalType::Float };
    for setting in settings {
        property(setting, &mut signal, &["name", "unit", "type"], full_name, ignored)?;
    }
    Ok(signal)
}

fn property(
    setting: &Setting,
    signal: &mut Signal,
    known: &[&str],
    full_name: &str,
    ignored: &mut Ignored,
) -> Result<(), ConfigError> {
    match setting.name.as_str() {
        "name" => signal.name = Some(word(setting)?),
        "unit" => signal.unit = Some(word(setting)?),
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

/// A name or unit, which must not contain a tab or line end: it would break the header line.
fn word(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    if text.contains(['\t', '\n', '\r']) {
        let message = format!("\"{}\" must not contain tabs or line ends", setting.name);
        return Err(ConfigError::at(&setting.value.place, message));
    }
    Ok(text.into())
}

fn signal_type(setting: &Setting) -> Result<SignalType, ConfigError> {
    setting.text()?.parse().map_err(|error| ConfigError::at(&setting.value.place, error))
}
