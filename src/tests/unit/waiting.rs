//! Of `waiting`.

use super::*;
use std::cell::Cell;

/// Simulates waits in a row; those without a spin end soon. Returns which ones begin with a spin.
fn spins_in(habit: &Habit, waits: usize, is_spin_enough: bool) -> Vec<usize> {
    let mut spins = Vec::new();
    for wait in 0..waits {
        let spun = habit.spins();
        if spun {
            spins.push(wait);
        }
        habit.learn(spun, !spun || is_spin_enough);
    }
    spins
}

#[test]
fn waits_that_a_spin_is_enough_for_all_spin() {
    assert_eq!(spins_in(&Habit::default(), 100, true).len(), 100);
}

#[test]
fn waits_a_little_too_long_for_a_spin_try_it_ever_more_rarely() {
    assert_eq!(spins_in(&Habit::default(), 130, false), [0, 1, 3, 7, 15, 31, 63, 95, 127]);
}

#[test]
fn long_waits_do_not_spin() {
    let habit = Habit::default();
    let spins = (0..1000).filter(|_| {
        let spun = habit.spins();
        habit.learn(spun, false);
        spun
    });
    assert_eq!(spins.count(), 2);
}

#[test]
fn a_busy_exchange_finds_back_to_spinning() {
    let habit = Habit::default();
    spins_in(&habit, 64, false);
    let spins = spins_in(&habit, 100, true);
    assert_eq!(spins, (31..100).collect::<Vec<_>>());
    // Failed spins are forgotten.
    habit.learn(true, false);
    assert!(habit.spins());
}

/// A region in which nothing happens, and in which every sleep lasts for `nap`.
struct Quiet {
    looks: Cell<u32>,
    nap: Cell<Duration>,
    habit: Habit,
    interrupts: Interrupts,
}

impl Watched for Quiet {
    type Hint = ();
    type Armed = ();

    fn is_worth_a_look(&self, _: &()) -> bool {
        self.looks.set(self.looks.get() + 1);
        false
    }
    fn is_blind(&self, _: &()) -> bool {
        false
    }
    fn is_over(&self, _: &()) -> bool {
        false
    }
    fn arm(&self, _: &()) {}
    fn sleep(&self, _: &(), _: (), _: Duration) -> Slept {
        std::thread::sleep(self.nap.get());
        Slept::Woken
    }
    fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }
    fn is_polling(&self) -> bool {
        false
    }
    fn habit(&self, _: &()) -> Option<&Habit> {
        Some(&self.habit)
    }
    fn probe(&self) {}
    fn wants_probe(&self) -> bool {
        false
    }
    fn since_probe(&self) -> Duration {
        Duration::ZERO
    }
}

impl Quiet {
    /// A wait that ends after its first sleep; returns whether it spun before.
    fn wait(&self) -> bool {
        let mut patience = Patience::new(&Limit::Forever, self);
        self.looks.set(0);
        while patience.armed.is_none() {
            patience.step(self, &(), || false).unwrap();
        }
        patience.step(self, &(), || false).unwrap();
        patience.teach(self, &(), true);
        self.looks.get() > 0
    }
}

#[test]
fn a_habit_knows_whether_its_thread_shares_its_only_processor() {
    let quiet = Quiet { looks: Cell::new(0), nap: Cell::default(), habit: Habit::default(), interrupts: Interrupts::new() };
    // SAFETY: the mask is that of the calling thread, which ends with the test.
    let confine = |mask: &libc::cpu_set_t| assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(mask), mask) }, 0);
    let after_spin = || {
        quiet.habit.rest.store(0, Relaxed);
        assert!(quiet.wait());
        quiet.habit.shares.load(Relaxed)
    };
    // SAFETY: written to before they are read.
    let (all, one) = unsafe {
        let (mut all, mut one): (libc::cpu_set_t, libc::cpu_set_t) = (std::mem::zeroed(), std::mem::zeroed());
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&all), &raw mut all), 0);
        let first = (0..libc::CPU_SETSIZE as usize).find(|&at| libc::CPU_ISSET(at, &all)).unwrap();
        libc::CPU_SET(first, &mut one);
        (all, one)
    };
    let (is_over, deadline) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(10));
    let shared = std::thread::scope(|scope| {
        scope.spawn(|| {
            confine(&one);
            while !is_over.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        confine(&one);
        let shared = std::iter::repeat_with(after_spin).find(|&shares| shares || Instant::now() > deadline);
        is_over.store(true, Relaxed);
        shared
    });
    assert_eq!(shared, Some(true), "no yield was seen to run the other thread");
    confine(&all);
    // SAFETY: a mask.
    let has_one = unsafe { libc::CPU_COUNT(&all) } == 1;
    assert!(has_one || !after_spin(), "a thread that may run elsewhere shares nothing");
}

#[test]
fn a_wait_sleeps_at_once_after_long_ones_and_spins_again_after_a_short_one() {
    let quiet = Quiet { looks: Cell::new(0), nap: Cell::default(), habit: Habit::default(), interrupts: Interrupts::new() };
    quiet.nap.set(10 * SOON);
    assert_eq!([(); 5].map(|()| quiet.wait()), [true, true, false, false, false]);
    quiet.nap.set(Duration::ZERO);
    // On a busy machine a short wait may take long; then it does not count.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !quiet.wait() {
        assert!(Instant::now() < deadline, "no wait spins again");
    }
}
