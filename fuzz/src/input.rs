//! What a fuzzer gives, read as a script: numbers from the front, zeros when nothing is left.

/// The rest of an input.
pub(crate) struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    pub(crate) fn new(bytes: &'i [u8]) -> Self {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&self) -> &'i [u8] {
        self.0
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.0.len());
        bytes[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        bytes
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    pub(crate) fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes(self.take()))
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }
}

/// A store to shared memory by somebody who keeps to no rule.
#[derive(Debug)]
pub(crate) struct Poke {
    pub(crate) at: usize,
    /// 1, 4 or 8; `at` is a multiple of it.
    pub(crate) width: usize,
    pub(crate) value: u64,
}

impl Poke {
    /// The next one of the input, for memory of `size` bytes, at least 8: mostly at one of `places`, mostly with a value near an edge or near
    /// what is there.
    pub(crate) fn next(input: &mut Input, size: usize, places: &[usize], there: impl Fn(usize) -> u64) -> Poke {
        let choice = input.byte();
        let width = [8, 4, 8, 1][usize::from(choice) % 4];
        let at =
            if choice & 4 == 0 { places[input.short() % places.len()] } else { input.short() * 4 + usize::from(choice >> 6) };
        let at = at % (size - 7);
        let at = at - at % width;
        let before = there(at);
        let value = match choice >> 3 & 7 {
            0 => before.wrapping_add(u64::from(input.byte())),
            1 => before.wrapping_sub(u64::from(input.byte())),
            2 => before ^ 1 << (input.byte() & 63),
            3 => EDGES[input.below(EDGES.len())],
            4 => u64::from(input.byte()),
            5 => (size as u64).wrapping_sub(u64::from(input.byte())),
            6 => before.rotate_left(u32::from(input.byte() & 63)),
            _ => input.word(),
        };
        Poke { at, width, value }
    }
}

const EDGES: [u64; 16] = [
    0,
    1,
    2,
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    (1 << 63) - 1,
    u32::MAX as u64,
    1 << 32,
    1 << 31,
    (1 << 31) - 1,
    // Numbers of incarnations have 48 and 60 bits, laps 51.
    (1 << 48) - 1,
    (1 << 60) - 1,
    (1 << 51) - 1,
    1 << 20,
    (1 << 20) + 1,
];
