//! The command line of `plot`.

use std::path::PathBuf;

use clap::Args;

use crate::formats::Format;
use crate::signals::Signals;

/// Of live curves.
pub(crate) const KEYS: &str = "  q, Esc, Ctrl-C          quit
  Left, Right             a shorter or a longer time
  space                   stop the curves, go on
  Up, Down, k, j, Home, End
                          mark another curve
  Enter, o, a             show or hide the marked curve; only it; all
  +, -, PgUp, PgDn, 0     enlarge, move the axis of the marked curve; all axes by themselves again
  Ctrl-L, Ctrl-Z          draw everything anew; stop, and fg goes on";

/// The end of the help.
pub(crate) fn status() -> String {
    format!(
        "Keys of --live:\n{KEYS}\n\n\
         Exit status: 0; 1 for errors, and when a line was no sample: it is named and left out."
    )
}

#[derive(Args)]
pub(crate) struct PlotArgs {
    /// Draw only these, in this order. Of a complex signal u, u.re and u.im are its parts.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) signals: Vec<String>,
    /// Write a picture instead of drawing in the terminal.
    #[arg(short, value_name = "FILE.svg|FILE.png")]
    pub(crate) output: Option<PathBuf>,
    /// Draw nothing before this time: seconds since 1970, or a date as 2016-01-31 or
    /// 2016-01-31T12:00, of UTC.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) from: Option<i64>,
    /// Draw nothing after this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) to: Option<i64>,
    /// Let the times of each file, --from and --to count from the file's first sample.
    #[arg(long)]
    pub(crate) align: bool,
    /// Show the samples as they come, until `q` is pressed.
    #[arg(long, conflicts_with_all = ["output", "from", "to", "align", "split"])]
    pub(crate) live: bool,
    /// Give each signal an axis of its own. Without colours they always have.
    #[arg(long)]
    pub(crate) split: bool,
    /// The picture's title [default: the names of the files].
    #[arg(long, value_name = "TEXT", requires = "output")]
    pub(crate) title: Option<String>,
    /// The picture's width and height, of a PNG in pairs of pixels [default: 960, and as high as
    /// suits it].
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "output", value_parser = size)]
    pub(crate) size: Option<(u32, u32)>,
    /// The format of the files, where their names do not say it.
    #[arg(short = 'f', long, visible_alias = "format", value_name = "FORMAT")]
    pub(crate) input_format: Option<Format>,
    /// The types of the values where the file does not say them: counts and letters, as in 1c or
    /// 2f3ib; f float, i integer, b boolean, c complex. Those that come after are floats.
    #[arg(short, value_name = "TYPES")]
    pub(crate) types: Option<Signals>,
    /// Instead of -t: the types, names and units of what `pipe CONFIG NODE` prints.
    #[arg(long, value_names = ["CONFIG", "NODE"], num_args = 2, conflicts_with = "types")]
    pub(crate) node: Vec<String>,
    /// Files of samples; - is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

fn time(text: &str) -> Result<i64, &'static str> {
    villas_shm_picture::time::parse(text).ok_or("expected seconds since 1970, or a date as 2016-01-31 or 2016-01-31T12:00")
}

/// A picture within these bounds has room for axes, and for its pixels in memory.
fn size(text: &str) -> Result<(u32, u32), &'static str> {
    let pair = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let is_right = |&(width, height): &(u32, u32)| (200..=10_000).contains(&width) && (150..=10_000).contains(&height);
    pair.filter(is_right).ok_or("expected two numbers of pixels as in 960x540, from 200x150 to 10000x10000")
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_stand_in_a_column() {
        assert!(super::KEYS.lines().all(|line| line.starts_with("  ")));
    }
}
