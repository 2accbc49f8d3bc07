//! The command line. `clients/man` compiles this file too, so it needs clap and no Zenoh.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use villas_shm_node::log::Level;

const STATUS: &str = "\
Exit status:
  0  success; also after SIGINT, SIGTERM or SIGHUP, when all that was taken from the channel has been
     handed to Zenoh
  1  bad usage or configuration, a channel that cannot be opened or was lost, an exec program that
     could not start or ended with an error, samples that were taken and not handed over

docs/bridge.md has the payload, what is promised, and the keys of --json.";

/// Let a channel go on over Zenoh, on other machines.
///
/// It takes the node's side of the channel of the node NODE in the configuration file CONFIG, and
/// starts its `exec` program. What comes from the program is published under one key, what arrives
/// under the other goes to the program. If the configuration has no signals for the program's
/// input, they are those that the other side publishes. It goes on by itself when the program, the
/// other side or a router has been away.
#[derive(Parser)]
#[command(name = "villas-shm-bridge", version, after_help = STATUS)]
pub(crate) struct Cli {
    /// Be the program at the other end: open the region that a node has created.
    #[arg(short = 'x')]
    pub(crate) swap: bool,
    /// The key to publish under what comes from the channel.
    #[arg(long, value_name = "KEY")]
    pub(crate) publish: String,
    /// The key of what goes into the channel.
    #[arg(long, value_name = "KEY")]
    pub(crate) subscribe: String,
    /// Connect to this endpoint of another bridge or of a router; may be repeated.
    #[arg(long, value_name = "tcp/HOST:PORT", value_parser = endpoint)]
    pub(crate) connect: Vec<String>,
    /// Let others connect to this endpoint; may be repeated.
    #[arg(long, value_name = "tcp/HOST:PORT", value_parser = endpoint)]
    pub(crate) listen: Vec<String>,
    /// Be a peer of other bridges, or a client of a router [default: what --zenoh-config says, else
    /// peer].
    #[arg(long)]
    pub(crate) mode: Option<Mode>,
    /// Look for others by multicast.
    #[arg(long)]
    pub(crate) scout: bool,
    /// A configuration file of Zenoh. What the command line says has precedence.
    #[arg(long, value_name = "FILE.json5")]
    pub(crate) zenoh_config: Option<PathBuf>,
    /// Publish so many samples in one message, from 1 to 65536.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub(crate) batch: u32,
    /// Let a sample wait for others of its message no longer than this, as 1ms, 500us or 0.1s.
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = time)]
    pub(crate) max_delay: Duration,
    /// The form in which samples are published. What arrives may have either.
    #[arg(long, default_value = "protobuf")]
    pub(crate) format: Format,
    /// What happens when the queue is full, because nobody subscribes or the link is slow or down.
    #[arg(long, value_name = "POLICY", default_value = "drop-oldest")]
    pub(crate) on_full: OnFull,
    /// So many samples that were taken and cannot be published are kept, from 1 to 16777216.
    #[arg(long, value_name = "SAMPLES", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) queue: u32,
    /// Print rates, gaps, drops and latencies once a second, on standard error.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Print them as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// How long the exec program may take to end by itself.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) grace: Duration,
    /// Show messages of this level and above.
    #[arg(short, long = "debug", value_name = "LEVEL", default_value = "info")]
    pub(crate) debug: Level,
    /// The configuration file: libconfig syntax or JSON.
    pub(crate) config: PathBuf,
    /// The node's name in it.
    pub(crate) node: String,
}

/// How samples are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// VILLASnode's protobuf messages: every bit arrives.
    Protobuf,
    /// VILLASnode's JSON, a line for each sample: for people.
    Json,
}

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnFull {
    /// Nothing more is taken from the channel.
    Wait,
    /// The oldest sample of the queue is dropped.
    DropOldest,
    /// The sample that was taken last is dropped.
    DropNewest,
}

/// What a session is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    Peer,
    Client,
}

impl Cli {
    /// Whether statistics are printed once a second.
    pub(crate) fn has_stats(&self) -> bool {
        self.stats || self.json
    }
}

/// What comes behind the port is Zenoh's to judge.
fn endpoint(text: &str) -> Result<String, String> {
    let (protocol, address) = text.split_once('/').unwrap_or_default();
    let address = address.split(['?', '#']).next().unwrap_or(address);
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    if ["tcp", "udp", "tls"].contains(&protocol) && !host.is_empty() && port.parse::<u16>().is_ok() {
        Ok(text.into())
    } else {
        Err("expected tcp/HOST:PORT, udp/HOST:PORT or tls/HOST:PORT, such as tcp/192.168.1.2:7447".into())
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let wanted = "expected a time such as 1ms, 500us or 2s";
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(wanted.into()),
    };
    let number: f64 = digits.parse().map_err(|_| wanted)?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wanted.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_endpoint_has_a_protocol_a_host_and_a_port() {
        for text in ["tcp/10.0.0.1:7447", "tls/host.example:1", "udp/[::1]:7447", "tcp/[::]:0", "tcp/h:1?rel=1#iface=eth0"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        for text in ["", "10.0.0.1", "10.0.0.1:7447", "tcp/10.0.0.1", "tcp/:7447", "tcp/h:70000", "http/h:80", "tcp://h:7447"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(time("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(time("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(time("20us"), Ok(Duration::from_micros(20)));
        for text in ["", "1", "ms", "-1s", "1m", "1e999s", "nans"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
