//! Zenoh's session: how it is configured and opened.

use std::fs::File;
use std::path::Path;

use serde_json::Value;
use villas_shm_node::log::log;
use zenoh::{Config, Session, Wait};

use crate::cli::{Cli, Mode};
use crate::reason::plain;

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
    let (mut config, file) = match &cli.zenoh_config {
        Some(path) => from_file(path)?,
        None => (Config::default(), Value::Null),
    };
    let is_unset = |key: &str| file.pointer(&format!("/{key}")).is_none();
    for (key, value) in DEFAULTS {
        if is_unset(key) {
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
    if !cli.listen.is_empty() || (is_unset("listen/endpoints") && !scouts) {
        set(&mut config, "listen/endpoints", &endpoints(&cli.listen)?)?;
    }
    if !cli.connect.is_empty() {
        set(&mut config, "connect/endpoints", &endpoints(&cli.connect)?)?;
    }
    let has_none = |key| config.get_json(key).is_ok_and(|endpoints| endpoints == "[]");
    if has_none("connect/endpoints") && has_none("listen/endpoints") && !scouts {
        return Err("nobody can be reached: give --connect or --listen, for example tcp/192.168.1.2:7447, or --scout".into());
    }
    let is_client = config.get_json("mode").is_ok_and(|mode| mode == "\"client\"");
    if is_client && has_none("connect/endpoints") && !scouts {
        return Err("a client needs a router: give --connect, for example tcp/192.168.1.2:7447, or --scout".into());
    }
    check_files(&config)?;
    Ok(config)
}

/// The files that TLS needs can be read. Zenoh does not name the one that is missing, and tries to
/// connect without it for ever.
fn check_files(config: &Config) -> Result<(), String> {
    let has_tls = |key| config.get_json(key).is_ok_and(|endpoints| endpoints.contains("tls/"));
    if !has_tls("connect/endpoints") && !has_tls("listen/endpoints") {
        return Ok(());
    }
    for key in ["root_ca_certificate", "listen_certificate", "listen_private_key", "connect_certificate", "connect_private_key"] {
        let value = config.get_json(&format!("transport/link/tls/{key}")).ok();
        if let Some(name) = value.and_then(|text| serde_json::from_str::<Option<String>>(&text).ok()).flatten() {
            File::open(&name).map_err(|error| format!("{key} \"{name}\" for TLS: {error}"))?;
        }
    }
    Ok(())
}

/// The configuration in a file, and what the file itself says: a default of Zenoh that somebody has
/// written there is meant.
fn from_file(path: &Path) -> Result<(Config, Value), String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let bad = |error: &dyn std::fmt::Display| format!("{name}: it is no configuration of Zenoh in JSON5: {error}");
    let said = json5::from_str(&text).map_err(|error| bad(&error))?;
    Ok((Config::from_json5(&text).map_err(|error| bad(&error))?, said))
}

fn set(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    config.insert_json5(key, value).map_err(|error| format!("Zenoh does not take {value} as {key}: {error}"))
}

/// Opens a session. A client is connected then; a peer tries to connect in the background.
pub(crate) fn open(config: Config) -> Result<Session, String> {
    zenoh::open(config).wait().map_err(|error| format!("cannot open a session of Zenoh: {}", plain(&error.to_string())))
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// The configuration of a command line with these options, and with this file.
    fn configured(options: &[&str], file: Option<&str>) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zenoh.json5");
        let mut words = vec!["villas-shm-bridge", "grid.conf", "grid", "--publish", "a", "--subscribe", "b"];
        words.extend(options);
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            words.extend(["--zenoh-config", path.to_str().unwrap()]);
        }
        configure(&Cli::try_parse_from(words).unwrap())
    }

    fn get(config: &Config, key: &str) -> String {
        config.get_json(key).unwrap()
    }

    #[test]
    fn without_a_file_nobody_is_looked_for_and_attempts_have_no_end() {
        let config = configured(&["--connect", "tcp/127.0.0.1:1"], None).unwrap();
        assert_eq!(get(&config, "scouting/multicast/enabled"), "false");
        assert_eq!(get(&config, "connect/timeout_ms"), "-1");
        assert_eq!(get(&config, "listen/endpoints"), "[]");
    }

    #[test]
    fn what_a_file_says_stays_even_if_it_is_a_default_of_zenoh() {
        let file = "{ scouting: { multicast: { enabled: true } }, connect: { exit_on_failure: true } }";
        let config = configured(&[], Some(file)).unwrap();
        assert_eq!(get(&config, "scouting/multicast/enabled"), "true");
        assert_eq!(get(&config, "connect/exit_on_failure"), "true");
        // What it does not say.
        assert_eq!(get(&config, "connect/timeout_ms"), "-1");
    }

    #[test]
    fn options_have_precedence_over_the_file() {
        let file = "{ mode: 'client', connect: { endpoints: ['tcp/127.0.0.1:1'] } }";
        let config = configured(&["--mode", "peer", "--connect", "tcp/127.0.0.1:2"], Some(file)).unwrap();
        assert_eq!(
            (get(&config, "mode").as_str(), get(&config, "connect/endpoints").as_str()),
            ("\"peer\"", "[\"tcp/127.0.0.1:2\"]")
        );
    }

    #[test]
    fn a_file_that_tls_needs_and_that_is_missing_is_named() {
        let file = "{ transport: { link: { tls: { root_ca_certificate: '/nowhere/ca.pem' } } } }";
        let error = configured(&["--connect", "tls/127.0.0.1:1"], Some(file)).unwrap_err();
        assert_eq!(error, "root_ca_certificate \"/nowhere/ca.pem\" for TLS: No such file or directory (os error 2)");
        // TCP does not need it.
        configured(&["--connect", "tcp/127.0.0.1:1"], Some(file)).unwrap();
    }

    #[test]
    fn a_bad_file_is_named_and_so_is_a_bridge_that_nobody_reaches() {
        for file in ["{", "{ mode: 'other' }"] {
            let error = configured(&["--connect", "tcp/127.0.0.1:1"], Some(file)).unwrap_err();
            assert!(error.contains("zenoh.json5: it is no configuration of Zenoh in JSON5"), "{error}");
        }
        assert!(configured(&[], None).unwrap_err().contains("give --connect or --listen"));
        let client = ["--mode", "client", "--listen", "tcp/127.0.0.1:0"];
        assert!(configured(&client, None).unwrap_err().contains("a client needs a router: give --connect"));
    }
}
