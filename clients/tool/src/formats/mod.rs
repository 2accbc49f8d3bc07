//! Files of samples: the formats, one reader and one writer for all of them.
//!
//! A format writes what it can hold bit for bit, and counts what it cannot ([`Losses`]).

mod arrow;
mod binary;
mod columns;
mod input;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;

use clap::ValueEnum;
use villas_shm_node::{json, losses};

pub(crate) use input::{Input, Source, refuse_same_file};
pub(crate) use reader::{ReadError, Reader};
pub(crate) use writer::{Output, Writer};

/// The formats; the names are VILLASnode's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people and all of VILLASnode's tools.
    #[value(name = "villas.human")]
    Human,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One JSON object a line.
    Json,
    /// The messages that VILLASnode sends by UDP: 32-bit floats and integers.
    #[value(name = "villas.binary")]
    Binary,
    /// An Arrow IPC stream: columns for pandas, polars and others.
    Arrow,
}

impl Format {
    /// The format of a file by the last part of its name; of standard streams and of any other file
    /// `villas.human`.
    pub(crate) fn of_path(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            Some("json" | "jsonl" | "ndjson") => Self::Json,
            Some("bin" | "binary") => Self::Binary,
            Some("arrow" | "arrows" | "ipc") => Self::Arrow,
            _ => Self::Human,
        }
    }

    /// Its name, as the command line takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Human => "villas.human",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Binary => "villas.binary",
            Self::Arrow => "arrow",
        }
    }
}
