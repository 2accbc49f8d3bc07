//! Zenoh's session: how it is configured and opened.

use std::path::Path;

use villas_shm_node::log::log;
use zenoh::{Config, Session, Wait};

use crate::cli::{Cli, Mode};

/// What is set where neither the command line nor a configuration file says it. Attempts to connect
/// go on for ever, and not only in the mode for which that is Zenoh's default.
const DEFAULTS: [(&str, &str); 5] = [
    ("mode", "\"peer\""),
    ("scouting/multicast/enabled", "false"),
    ("connect/timeout_ms", "-1"),
    ("connect/exit_on_failure", "false"),
    ("connect/retry", "{ period_init_ms: 200, period_max_ms: 2000, period_increase_factor: 2 }"),
];

/// The configuration of a session.
pub(crate) fn configure(cli: &Cli) -> Result<Config, String> {
    let mut config = match &cli.zenoh_config {
        Some(path) => from_file(path)?,
        None => Config::default(),
    };
    let usual = Config::default();
    let is_unset = |config: &Config, key: &str| config.get_json(key).ok() == usual.get_json(key).ok();
    for (key, value) in DEFAULTS {
        if is_unset(&config, key) {
            set(&mut config, key, value)?;
        }
    }
    if let Some(mode) = cli.mode {
        set(&mut config, "mode", if mode == Mode::Client { "\"client\"" } else { "\"peer\"" })?;
    }
    if cli.scout {
        set(&mut config, "scouting/multicast/enabled", "true")?;
    }
    let endpoints = |list: &[String]| serde_json::to_string(list).map_err(|error| error.to_string());
    // By default a peer listens at a port of the kernel's choice: only where scouting tells it.
    let scouts = config.get_json("scouting/multicast/enabled").is_ok_and(|scouts| scouts == "true");
    if !cli.listen.is_empty() || (is_unset(&config, "listen/endpoints") && !scouts) {
        set(&mut config, "listen/endpoints", &endpoints(&cli.listen)?)?;
    }
    if !cli.connect.is_empty() {
        set(&mut config, "connect/endpoints", &endpoints(&cli.connect)?)?;
    }
    let has_none = |key| config.get_json(key).is_ok_and(|endpoints| endpoints == "[]");
    if has_none("connect/endpoints") && has_none("listen/endpoints") && !scouts {
        return Err("nobody can be reached: give --connect or --listen, for example tcp/192.168.1.2:7447, or --scout".into());
    }
    Ok(config)
}

fn from_file(path: &Path) -> Result<Config, String> {
    let name = path.display();
    // Zenoh would say of a missing file that its name has no extension that it knows.
    std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?;
    Config::from_file(path).map_err(|error| format!("{name}: it is no configuration of Zenoh: {error}"))
}

fn set(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    config.insert_json5(key, value).map_err(|error| format!("Zenoh does not take {value} as {key}: {error}"))
}

/// Opens a session. A client is connected then; a peer tries to connect in the background.
pub(crate) fn open(config: Config) -> Result<Session, String> {
    zenoh::open(config).wait().map_err(|error| format!("cannot open a session of Zenoh: {error}"))
}

/// How many peers and routers a session is connected to.
pub(crate) fn connections(session: &Session) -> (usize, usize) {
    let info = session.info();
    (info.peers_zid().wait().count(), info.routers_zid().wait().count())
}

/// Closes a session: what was handed to it goes on its way.
pub(crate) fn close(session: &Session) {
    if let Err(error) = session.close().wait() {
        log!(Warning, "the session of Zenoh was not closed in order: {error}");
    }
}
