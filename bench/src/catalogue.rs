//! What is measured: groups of contenders, each beside its yardstick.

use crate::channel::{echoing, own, wire};
use crate::life::{Life, Step};
use crate::many::FourAndFour;
use crate::peers::boost::Boost;
use crate::peers::kernel::{Kernel, Kind, longest_queued};
use crate::peers::threads::{Crossbeam, Rtrb, Threads};
use crate::ring::Rings;
use crate::sketch::{self, Sketch};
use villas_shm_measure::channel::{RustChannel, Shape};
use villas_shm_measure::compare::Timed;
use villas_shm_measure::contender::{Contender, Exchange, Transport, Work};
use villas_shm_measure::functions::{MPMC, MPSC, SPSC};
use villas_shm_measure::yardsticks::{BareStream, BareTrip, Futex, LineTrip};

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Trip,
    Asleep,
    Wake,
    WakeCost,
    Stream,
    FourAndFour,
    Creation,
    Opening,
}

/// What the contenders of a group do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) section: Section,
    /// Bytes of a message.
    pub(crate) bytes: usize,
    /// Messages per batch.
    pub(crate) batch: usize,
}

impl Subject {
    pub(crate) const fn trip(bytes: usize) -> Subject {
        Subject { section: Section::Trip, bytes, batch: 1 }
    }

    pub(crate) const fn stream(bytes: usize, batch: usize) -> Subject {
        Subject { section: Section::Stream, bytes, batch }
    }

    /// Of the sections that measure one size only.
    pub(crate) const fn of(section: Section) -> Subject {
        let bytes = match section {
            Section::FourAndFour => 152,
            Section::Creation | Section::Opening => 0,
            _ => 96,
        };
        Subject { section, bytes, batch: 1 }
    }

    pub(crate) fn title(self) -> String {
        match self.section {
            Section::Trip => format!("Round trips of {} bytes", self.bytes),
            Section::Asleep => "Round trips when both sides sleep, 96 bytes".into(),
            Section::Wake => "One message to a receiver that sleeps: until it has it".into(),
            Section::WakeCost => "One message to a receiver that sleeps: what the call costs that sends it".into(),
            Section::Stream if self.batch == 1 => format!("Streams of {} bytes, one by one", self.bytes),
            Section::Stream => format!("Streams of {} bytes, {} at a time", self.bytes, self.batch),
            Section::FourAndFour => "Four threads of one process give, four of the other take, 152 bytes".into(),
            Section::Creation => "Creating the default region, and removing it".into(),
            Section::Opening => "Opening it, and closing".into(),
        }
    }

    /// Of rates, more is better; of times, less.
    pub(crate) fn is_rate(self) -> bool {
        matches!(self.section, Section::Stream | Section::FourAndFour)
    }
}

/// One yardstick, and contenders that carry messages of the same size.
pub(crate) struct Group {
    pub(crate) subject: Subject,
    pub(crate) yard: usize,
    pub(crate) contenders: Vec<usize>,
}

impl Group {
    pub(crate) fn timed(&self) -> Timed {
        match self.subject.section {
            Section::Trip => Timed::Apart,
            Section::Asleep | Section::Wake | Section::WakeCost => Timed::Same,
            _ => Timed::Not,
        }
    }

    /// Nanoseconds of a slice: sleepers take long for each item.
    pub(crate) fn slice_ns(&self) -> f64 {
        if self.timed() == Timed::Same { 25e6 } else { 10e6 }
    }
}

/// All contenders, and the groups in which they are compared.
pub(crate) struct Catalogue {
    pub(crate) contenders: Vec<Box<dyn Contender>>,
    pub(crate) groups: Vec<Group>,
    /// What could not be included, and why.
    pub(crate) missing: Vec<String>,
    is_quick: bool,
    has_boost: bool,
    has_sketch: bool,
    cpus: [usize; 2],
}

impl Catalogue {
    /// Must be called before the fork.
    pub(crate) fn new(is_quick: bool, cpus: [usize; 2]) -> Result<Catalogue, String> {
        let mut missing = Vec::new();
        let boost = crate::peers::boost::load();
        if let Err(why) = &boost {
            missing.push(format!("Boost.Interprocess: {why} (its headers were not installed when make built this)"));
        }
        let sketch = sketch::load();
        if let Err(why) = &sketch {
            missing.push(format!("the sketch of the channel: {why}"));
        }
        if cfg!(not(feature = "iceoryx2")) {
            missing.push("iceoryx2: built without it".into());
        }
        if longest_queued() == 0 {
            missing.push("POSIX mq: this system has none".into());
        }
        let (contenders, groups) = (Vec::new(), Vec::new());
        let (has_boost, has_sketch) = (boost.is_ok(), sketch.is_ok());
        let mut catalogue = Catalogue { contenders, groups, missing, is_quick, has_boost, has_sketch, cpus };
        catalogue.trips()?;
        catalogue.sleepers()?;
        catalogue.streams()?;
        catalogue.others();
        Ok(catalogue)
    }

    fn add(&mut self, contender: Box<dyn Contender>) -> usize {
        self.contenders.push(contender);
        self.contenders.len() - 1
    }

    fn exchange<T: Transport + 'static>(&mut self, transport: T, work: Work) -> usize {
        self.add(Exchange::boxed(transport, work))
    }

    fn group(&mut self, subject: Subject, yard: Box<dyn Contender>) {
        let yard = self.add(yard);
        self.groups.push(Group { subject, yard, contenders: Vec::new() });
    }

    /// Adds a contender to the last group.
    fn join<T: Transport + 'static>(&mut self, transport: T, work: Work) {
        let index = self.exchange(transport, work);
        self.join_as(index);
    }

    fn join_as(&mut self, index: usize) {
        if let Some(group) = self.groups.last_mut() {
            group.contenders.push(index);
        }
    }

    /// Adds kernel objects and other libraries, with messages of `W` words. The quick form leaves
    /// out slow ones, and queues between threads.
    fn peers<const W: usize>(&mut self, work: Work, sleeps: bool) -> Result<(), String> {
        let batch = work.batch().unwrap_or(1);
        if batch == 1 {
            #[cfg(feature = "iceoryx2")]
            self.join(crate::peers::iceoryx::Iceoryx::<W>::new(sleeps, work.batch()), work);
            if self.has_boost {
                self.join(Boost::<W>::new(sleeps, work.batch()), work);
            }
            if 8 * W <= longest_queued() && !self.is_quick {
                self.join(Kernel::<W>::new(Kind::MessageQueue, sleeps, 1)?, work);
            }
        }
        self.join(Kernel::<W>::new(Kind::Pipe, sleeps, batch)?, work);
        if self.is_quick {
            return Ok(());
        }
        self.join(Kernel::<W>::new(Kind::Socket, sleeps, batch)?, work);
        if !sleeps {
            let cpu = self.cpus[1];
            let index = self.add(Box::new(Threads::<Rtrb<W>, W>::new(work, cpu)));
            self.join_as(index);
            if batch == 1 {
                let index = self.add(Box::new(Threads::<Crossbeam<W>, W>::new(work, cpu)));
                self.join_as(index);
            }
        }
        Ok(())
    }

    fn sketch(&mut self, values: usize, work: Work) {
        if self.has_sketch {
            let index = self.add(Sketch::boxed(values, work));
            self.join_as(index);
        }
    }

    /// Adds this library's channels with samples of `V` values.
    fn channels<const V: usize>(&mut self, work: Work, polling: bool) {
        let batch = work.batch();
        self.join(own::<V>(polling, batch), work);
        self.join(RustChannel::new(Shape { values: V, polling, batch }), work);
    }

    fn trip<const W: usize, const V: usize>(&mut self) -> Result<(), String> {
        let work = Work::Trip;
        self.group(Subject::trip(8 * W), BareTrip::<W>::boxed());
        if V == 1 {
            let line = self.add(LineTrip::boxed());
            self.join_as(line);
        }
        if V == 1 || V == 8 {
            self.sketch(V, work);
        }
        self.channels::<V>(work, true);
        if V == 1 {
            self.join(echoing::<V>(true), work);
        }
        self.join(own::<V>(false, None), work);
        self.join(wire::<V>(true, None), work);
        for policy in [SPSC, MPSC, MPMC] {
            self.join(Rings::<W>::new(policy, false, None), work);
        }
        self.join(Rings::<W>::new(SPSC, true, None), work);
        if V == 1 || V == 173 {
            self.join(Rings::<W>::new(MPMC, true, None), work);
        }
        self.peers::<W>(work, false)
    }

    fn trips(&mut self) -> Result<(), String> {
        self.trip::<12, 1>()?;
        self.trip::<19, 8>()?;
        if !self.is_quick {
            self.trip::<75, 64>()?;
            self.trip::<184, 173>()?;
        }
        Ok(())
    }

    fn sleepers(&mut self) -> Result<(), String> {
        let works = [(Section::Asleep, Work::Asleep), (Section::Wake, Work::Wake), (Section::WakeCost, Work::WakeCost)];
        for (section, work) in works {
            self.group(Subject::of(section), Exchange::boxed(Futex::new(), work));
            self.channels::<1>(work, false);
            if section == Section::Asleep && !self.is_quick {
                self.join(Named::new(own::<8>(false, None), "8 values"), work);
                self.join(Named::new(own::<64>(false, None), "64 values"), work);
            }
            self.join(wire::<1>(false, None), work);
            self.join(Rings::<12>::new(SPSC, false, None), work);
            self.join(Rings::<12>::new(MPMC, false, None), work);
            self.peers::<12>(work, true)?;
        }
        Ok(())
    }

    /// Adds a stream of messages of `W` words, or of samples with `V` values.
    fn stream<const W: usize, const V: usize, const COPY: bool>(&mut self, batch: usize) -> Result<(), String> {
        let work = Work::Stream { batch };
        self.group(Subject::stream(8 * W, batch), BareStream::<W, COPY>::boxed(batch));
        if V == 8 {
            self.sketch(V, work);
        }
        self.channels::<V>(work, true);
        if batch == 1 || V == 8 {
            self.join(own::<V>(false, Some(batch)), work);
            self.join(wire::<V>(true, Some(batch)), work);
        }
        self.join(Rings::<W>::new(SPSC, false, Some(batch)), work);
        if W <= 184 {
            self.join(Rings::<W>::new(MPSC, false, Some(batch)), work);
            self.join(Rings::<W>::new(MPMC, false, Some(batch)), work);
        }
        if batch == 1 {
            self.join(Rings::<W>::new(SPSC, true, Some(1)), work);
            self.join(Rings::<W>::new(MPMC, true, Some(1)), work);
        }
        self.peers::<W>(work, false)?;
        if batch == 1 && !self.is_quick {
            // A call that cannot proceed sleeps, as in most programs.
            self.join(Kernel::<W>::new(Kind::Pipe, true, 1)?, work);
            self.join(Kernel::<W>::new(Kind::Socket, true, 1)?, work);
        }
        Ok(())
    }

    fn streams(&mut self) -> Result<(), String> {
        for batch in [1, 16, 64] {
            if !self.is_quick {
                self.stream::<12, 1, false>(batch)?;
            }
            self.stream::<19, 8, false>(batch)?;
            if !self.is_quick {
                self.stream::<75, 64, false>(batch)?;
            }
        }
        self.stream::<184, 173, true>(1)?;
        if !self.is_quick {
            self.stream::<184, 173, true>(64)?;
        }
        self.stream::<8192, 8181, true>(1)
    }

    fn others(&mut self) {
        self.group(Subject::of(Section::FourAndFour), FourAndFour::boxed(true));
        let ours = self.add(FourAndFour::boxed(false));
        self.join_as(ours);
        for (section, bare, ours) in
            [(Section::Creation, Step::BareCreate, Step::Create), (Section::Opening, Step::BareOpen, Step::Open)]
        {
            self.group(Subject::of(section), Life::boxed(bare));
            let ours = self.add(Life::boxed(ours));
            self.join_as(ours);
        }
    }
}

/// A transport with an addition to its name.
struct Named<T> {
    transport: T,
    more: &'static str,
}

impl<T> Named<T> {
    fn new(transport: T, more: &'static str) -> Named<T> {
        Named { transport, more }
    }
}

impl<T: Transport> Transport for Named<T> {
    fn name(&self) -> String {
        format!("{}, {}", self.transport.name(), self.more)
    }

    fn words(&self) -> u64 {
        self.transport.words()
    }

    fn open(&mut self, side: villas_shm_measure::rig::Side, name: &str) -> Result<(), String> {
        self.transport.open(side, name)
    }

    fn close(&mut self) {
        self.transport.close();
    }

    fn unlink(&mut self, name: &str) {
        self.transport.unlink(name);
    }

    #[inline(always)]
    fn send(&mut self, first: u64, count: usize) {
        self.transport.send(first, count);
    }

    #[inline(always)]
    fn receive(&mut self, first: u64, most: usize) -> (usize, u64) {
        self.transport.receive(first, most)
    }
}
