//! The `signals` of a node or of one of its directions, in all the forms that VILLASnode knows.

use super::value::{ConfigError, Data, Setting, Value};
use crate::signals::{MAX_SIGNALS, Signal, SignalType, Signals};

/// Reads `"64f"`, `{ count = 8, type = "float" }`, or a list of `{ name, unit, type }`.
pub(super) fn read(setting: &Setting) -> Result<Signals, ConfigError> {
    match &setting.value.data {
        Data::Text(text) => text.parse().map_err(|error| ConfigError::at(&setting.value.place, error)),
        Data::Group(settings) => repeated(setting, settings),
        Data::List(list) => {
            if list.len() > MAX_SIGNALS {
                let message = format!("{} signals, but a sample has room for {MAX_SIGNALS}", list.len());
                return Err(ConfigError::at(&setting.place, message));
            }
            Ok(Signals::new(list.iter().map(one).collect::<Result<_, _>>()?))
        }
        _ => Err(ConfigError::at(
            &setting.value.place,
            "\"signals\" must be a list of signals, a count and a type, or types such as \"64f\"",
        )),
    }
}

fn repeated(signals: &Setting, settings: &[Setting]) -> Result<Signals, ConfigError> {
    let mut count = None;
    let mut kind = SignalType::Float;
    for setting in settings {
        match setting.name.as_str() {
            "count" => count = Some(setting.count(MAX_SIGNALS as u32)?),
            "type" => kind = signal_type(setting)?,
            _ => return Err(unknown(setting)),
        }
    }
    let count = count.ok_or_else(|| ConfigError::at(&signals.place, "\"signals\" has no \"count\""))?;
    Ok(Signals::repeat(count as usize, kind))
}

fn one(value: &Value) -> Result<Signal, ConfigError> {
    let Data::Group(settings) = &value.data else {
        return Err(ConfigError::at(&value.place, "a signal must be a group with name, unit, type"));
    };
    let mut signal = Signal { name: None, unit: None, kind: SignalType::Float };
    for setting in settings {
        match setting.name.as_str() {
            "name" => signal.name = Some(word(setting)?),
            "unit" => signal.unit = Some(word(setting)?),
            "type" => signal.kind = signal_type(setting)?,
            // A start value for hooks, of which there are none here.
            "init" => {}
            _ => return Err(unknown(setting)),
        }
    }
    Ok(signal)
}

/// A name or unit, which a tab or line end would tear apart in the header line.
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

fn unknown(setting: &Setting) -> ConfigError {
    ConfigError::at(&setting.place, format_args!("unknown key \"{}\" in \"signals\"", setting.name))
}
