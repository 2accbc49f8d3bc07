//! usage: villas-bridge-bench BRIDGE [BATCH...]
//!
//! Samples of 8 values go from one process to another on this host by two bridges, by a bare
//! program with Zenoh and by a bare UDP socket, in turns. Prints how many arrive in a second, and
//! how long one message takes there and back, as a table.

mod payload;
mod ways;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ways::{DEADLINE, End, Place, Result, Way};

const BATCHES: [usize; 3] = [1, 16, 64];
/// Each way has so many turns, and in each a slice for the rate and one for round trips.
const TURNS: usize = 5;
const SLICE: Duration = Duration::from_millis(400);
/// After so long nothing comes any more that a socket has lost.
const SILENCE: Duration = Duration::from_millis(200);
/// Of a slice, before it counts.
const WARM_UP: Duration = Duration::from_millis(100);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [role, place @ ..] if role == "far" => far(place),
        [bridge, batches @ ..] => {
            let batches = batches.iter().map(|batch| batch.parse().map_err(Into::into)).collect::<Result<Vec<_>>>();
            batches.and_then(|batches| bench(Path::new(bridge), if batches.is_empty() { &BATCHES } else { &batches }))
        }
        [] => Err("usage: villas-bridge-bench BRIDGE [BATCH...]".into()),
    };
    if let Err(error) = done {
        eprintln!("villas-bridge-bench: {error}");
        exit(1);
    }
}

static RECEIVED: AtomicU64 = AtomicU64::new(0);
static ECHOES: AtomicBool = AtomicBool::new(true);

/// The far end counts what it receives, and sends a batch back for each batch while it is to.
fn far(place: &[String]) -> Result<()> {
    let place = Place::from_arguments(place)?;
    let batch = place.batch;
    let mut end = place.open()?;
    thread::spawn(commands);
    let mut owed = 0;
    loop {
        let count = end.receive()?;
        RECEIVED.fetch_add(count as u64, Ordering::Relaxed);
        owed = if ECHOES.load(Ordering::Relaxed) { owed + count } else { 0 };
        while owed >= batch {
            end.send()?;
            owed -= batch;
        }
    }
}

/// Lines of standard input: "echo", "sink", or "count", which is answered.
fn commands() {
    for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
        match line.as_str() {
            "count" => {}
            mode => ECHOES.store(mode == "echo", Ordering::Relaxed),
        }
        println!("{}", RECEIVED.load(Ordering::Relaxed));
    }
    exit(0);
}

/// A process that is killed when it is not needed any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is no harm.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way that is open, with what was measured of it.
struct Contender {
    way: Way,
    end: Box<dyn End>,
    to_far: ChildStdin,
    from_far: BufReader<ChildStdout>,
    /// Samples per second of each turn.
    rates: Vec<f64>,
    sent: u64,
    lost: u64,
    /// What the far end has received, as far as is known, and what it has not.
    counted: u64,
    underway: u64,
    times: Histogram<u64>,
    _processes: Vec<Running>,
}

impl Contender {
    fn start(way: Way, batch: usize, bridge: &Path, directory: &Path) -> Result<Contender> {
        let (near, far) = (free_port()?, free_port()?);
        let region = |end| format!("bridge-bench-{}-{end}", std::process::id());
        let place = Place { way, is_near: true, batch, region: region("near"), near, far };
        let mut processes = Vec::new();
        if way == Way::Bridge {
            for (end, publish, subscribe, how) in [("near", "up", "down", "--listen"), ("far", "down", "up", "--connect")] {
                processes.push(start_bridge(bridge, directory, &region(end), batch, [publish, subscribe, how], near)?);
            }
        }
        let end = place.open()?;
        let far = Place { is_near: false, region: region("far"), ..place };
        let mut child = Command::new(env::current_exe()?)
            .arg("far")
            .args(far.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to_far = child.stdin.take().ok_or("no standard input")?;
        let from_far = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        processes.push(Running(child));
        let times = Histogram::new_with_bounds(1, 100_000_000_000, 3)?;
        let mut contender = Contender {
            way,
            end,
            to_far,
            from_far,
            rates: Vec::new(),
            sent: 0,
            lost: 0,
            counted: 0,
            underway: 0,
            times,
            _processes: processes,
        };
        contender.connect(batch)?;
        Ok(contender)
    }

    /// Sends until something arrives.
    fn connect(&mut self, batch: usize) -> Result<()> {
        let begin = Instant::now();
        self.command("sink")?;
        while self.command("count")? == 0 {
            if begin.elapsed() > DEADLINE {
                return Err(format!("{}: nothing arrives", self.way.description()).into());
            }
            self.send(batch)?;
            thread::sleep(Duration::from_millis(20));
        }
        // What was sent before the other end was there is no loss.
        self.settle(false)?;
        (self.sent, self.lost) = (0, 0);
        Ok(())
    }

    fn send(&mut self, batch: usize) -> Result<()> {
        self.sent += batch as u64;
        self.underway += batch as u64;
        self.end.send()
    }

    /// Waits until nothing is underway any more. If all is to arrive, it is an error if it does not.
    fn settle(&mut self, all_arrives: bool) -> Result<()> {
        let mut last = Instant::now();
        while self.underway > 0 {
            let before = self.underway;
            thread::sleep(Duration::from_millis(1));
            self.count()?;
            if self.underway != before {
                last = Instant::now();
            }
            if all_arrives && last.elapsed() > DEADLINE {
                return Err(format!("{}: {} samples do not arrive", self.way.description(), self.underway).into());
            }
            if !all_arrives && last.elapsed() > SILENCE {
                self.lost += std::mem::take(&mut self.underway);
            }
        }
        Ok(())
    }

    /// Asks how many samples the far end has received.
    fn count(&mut self) -> Result<u64> {
        let count = self.command("count")?;
        self.underway -= (count - self.counted).min(self.underway);
        self.counted = count;
        Ok(count)
    }

    /// Sends as fast as it goes.
    fn rate(&mut self, batch: usize) -> Result<()> {
        self.command("sink")?;
        let begin = Instant::now();
        let mut first = None;
        while begin.elapsed() < WARM_UP + SLICE {
            self.send(batch)?;
            if first.is_none() && begin.elapsed() >= WARM_UP {
                first = Some((self.count()?, Instant::now()));
            }
        }
        let last = self.count()?;
        let (first, at) = first.ok_or("the first send took the whole slice")?;
        self.rates.push((last - first) as f64 / at.elapsed().as_secs_f64());
        self.settle(self.way != Way::Udp)
    }

    /// Sends a message, and waits for what comes back.
    fn round_trips(&mut self, batch: usize) -> Result<()> {
        self.command("echo")?;
        let begin = Instant::now();
        while begin.elapsed() < WARM_UP + SLICE {
            let at = Instant::now();
            self.send(batch)?;
            let mut missing = batch;
            while missing > 0 {
                missing -= self.end.receive()?;
            }
            if begin.elapsed() > WARM_UP {
                self.times.record(at.elapsed().as_nanos() as u64)?;
            }
        }
        self.settle(self.way != Way::Udp)
    }

    fn median(&self) -> f64 {
        self.rates[TURNS / 2]
    }

    /// How many samples the far end has received.
    fn command(&mut self, command: &str) -> Result<u64> {
        writeln!(self.to_far, "{command}")?;
        let mut line = String::new();
        self.from_far.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start_bridge(bridge: &Path, directory: &Path, region: &str, batch: usize, how: [&str; 3], port: u16) -> Result<Running> {
    let [publish, subscribe, how] = how;
    let conf: PathBuf = directory.join(format!("{region}.conf"));
    std::fs::write(&conf, format!("nodes = {{ bench = {{ type = \"shmem\", name = \"{region}\", samplelen = 8 }} }}"))?;
    Ok(Running(
        Command::new(bridge)
            .arg(conf)
            .args(["bench", "--publish", publish, "--subscribe", subscribe, how, &format!("tcp/127.0.0.1:{port}")])
            .args(["--on-full", "wait", "--batch", &batch.to_string()])
            .spawn()?,
    ))
}

fn bench(bridge: &Path, batches: &[usize]) -> Result<()> {
    let directory = env::temp_dir().join(format!("villas-bridge-bench-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    println!("| batch | way | samples/s | beside Zenoh | round trip p50 | p99 | p99.9 | lost |");
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    for &batch in batches {
        let start = |way| Contender::start(way, batch, bridge, &directory);
        let mut contenders = Way::ALL.into_iter().map(start).collect::<Result<Vec<_>>>()?;
        for _ in 0..TURNS {
            for contender in &mut contenders {
                contender.rate(batch)?;
                contender.round_trips(batch)?;
            }
        }
        for contender in &mut contenders {
            contender.rates.sort_by(f64::total_cmp);
        }
        let zenoh = contenders.iter().find(|contender| contender.way == Way::Zenoh).map_or(f64::NAN, Contender::median);
        for contender in &contenders {
            let quantile = |quantile| contender.times.value_at_quantile(quantile) as f64 / 1000.0;
            println!(
                "| {batch} | {} | {:.0} k | {:.2} | {:.0} µs | {:.0} µs | {:.0} µs | {:.1} % |",
                contender.way.description(),
                contender.median() / 1000.0,
                contender.median() / zenoh,
                quantile(0.5),
                quantile(0.99),
                quantile(0.999),
                100.0 * contender.lost as f64 / contender.sent as f64,
            );
        }
    }
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
