//! `villas-shm plot`: the curves of files, as a picture or in the terminal.

mod args;
mod chars;
mod choice;
mod columns;
mod curves;
mod envelope;
pub(crate) mod live;
mod panels;
mod picture;
mod print;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use villas_shm_picture::image;
use villas_shm_picture::time::{self, Times};

use crate::formats;
use crate::log::log;
use crate::signals::Signals;
use crate::standard;
pub(crate) use args::{KEYS, PlotArgs, status};
pub(crate) use choice::Choice;
use curves::{Curves, Wanted};
use panels::panels;
use picture::Page;
use print::Paper;

/// Pixels of a picture's width.
const WIDTH: u32 = 960;
/// A PNG has this many for each pixel of the SVG: it is not blurred where it is shown larger.
const ZOOM: f32 = 2.0;
/// Columns and rows where the output is no terminal.
const NO_TERMINAL: (u16, u16) = (100, 30);

/// Runs the command; returns whether every line was a sample or a comment.
pub(crate) fn run(args: &PlotArgs, types: &Signals) -> Result<bool, String> {
    let format = args.output.as_deref().map(Format::of).transpose()?;
    let paths = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files.clone() };
    let choice = Choice::new(&args.signals);
    if args.live {
        return live(&paths, args.input_format, choice, types);
    }
    let wanted =
        Wanted { choice: &choice, types, format: args.input_format, from: args.from, to: args.to, is_aligned: args.align };
    let curves = Curves::read(&paths, &wanted)?;
    if curves.are_apart() {
        log!(Info, "the files have no time in common; --align starts each of them at 0");
    }
    let (first, last) = curves.span();
    let span = (args.from.unwrap_or(first), args.to.unwrap_or(last));
    let times = |most| times(span, most, args.align);
    match (&args.output, format) {
        (Some(path), Some(format)) => {
            let page = Page {
                curves: &curves,
                panels: &panels(&curves.list, span, args.split),
                span,
                title: &args.title.clone().unwrap_or_else(|| curves.files.join(", ")),
                subtitle: &format!("{} samples", curves.samples),
                width: args.size.map_or(WIDTH, |size| size.0).into(),
                height: args.size.map(|size| size.1.into()),
            };
            save(path, format, &page.svg(times))?;
        }
        _ => {
            let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, height)| (width.0, height.0));
            let (width, height) = terminal.unwrap_or(NO_TERMINAL);
            let has_colours = terminal.is_some() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let paper = Paper { width: width.clamp(20, 1000), height: height.saturating_sub(1), has_colours };
            // Without colours, curves on one axis could not be told apart.
            let panels = panels(&curves.list, span, args.split || !has_colours);
            standard::print(&print::text(&curves, &panels, span, times, paper))?;
        }
    }
    Ok(curves.is_good)
}

fn live(paths: &[PathBuf], format: Option<formats::Format>, choice: Choice, types: &Signals) -> Result<bool, String> {
    let [path] = paths else { return Err("--live shows one FILE, or standard input".into()) };
    if path.as_os_str() == "-" && io::stdin().is_terminal() {
        return Err("--live needs samples: name a FILE, or lead them into standard input, which is the terminal".into());
    }
    let title =
        if path.as_os_str() == "-" { "plot".into() } else { path.file_name().unwrap_or_default().to_string_lossy().into() };
    let reader = formats::Reader::open(path, format, types)?;
    live::of_file(reader, title, live::Feed::new(&[""], choice))
}

/// The marks of the axis of time.
fn times((from, to): (i64, i64), most: usize, is_aligned: bool) -> Times {
    if is_aligned { time::seconds(from, to, most, 0, "time after the first sample") } else { time::marks(from, to, most) }
}

/// What a picture is written as.
#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &Path) -> Result<Format, String> {
        match path.extension().unwrap_or_default().to_ascii_lowercase().to_str() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(format!("{}: a picture is written to FILE.svg or FILE.png", path.display())),
        }
    }
}

fn save(path: &Path, format: Format, svg: &str) -> Result<(), String> {
    let bytes = match format {
        Format::Svg => svg.as_bytes().to_vec(),
        Format::Png => image::png(svg, ZOOM)?,
    };
    fs::write(path, bytes).map_err(|error| format!("{}: cannot write the picture: {error}", path.display()))
}
