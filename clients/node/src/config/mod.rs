//! Configuration files: libconfig syntax or JSON, as VILLASnode reads them.
//!
//! One node of type `shmem` is taken out of the file; everything else in it (other nodes, `paths`,
//! `logging`, ...) is none of this tool's business and may be anything that the syntax allows.

mod include;
mod json;
mod libconfig;
mod node;
mod signals;
mod value;

use std::path::Path;

use include::Origin;
pub use node::{Layout, NodeConfig};
pub use value::ConfigError;
use value::{Data, Setting, Value};

use crate::encoding;
use crate::log::log;

/// Reads the file at `path` and takes the node called `name` out of it.
pub fn load(path: &Path, name: &str) -> Result<NodeConfig, ConfigError> {
    let text = std::fs::read(path).map_err(|error| ConfigError::in_file(&path.display().to_string(), error))?;
    load_text(path, &text, name)
}

/// As [`load`], from a file's contents.
pub fn load_text(path: &Path, text: &[u8], name: &str) -> Result<NodeConfig, ConfigError> {
    let file = path.display().to_string();
    let Data::Group(settings) = parse(path, &file, text, &Origin::of(path))?.data else {
        return Err(ConfigError::in_file(&file, "the file is not a JSON object"));
    };
    let nodes = find(&settings, "nodes").ok_or_else(|| ConfigError::in_file(&file, "no \"nodes\" here"))?.group()?;
    let node = find(nodes, name).ok_or_else(|| {
        let message = format!("no node is called \"{name}\"; there are: {}", list_shmem_nodes(nodes));
        ConfigError::in_file(&file, message)
    })?;
    let (config, warning) = NodeConfig::from_setting(node)?;
    if let Some(warning) = warning {
        log!(Warning, "{warning}");
    }
    Ok(config)
}

/// Parses a file: the tree of its contents and of the files that it includes.
///
/// JSON is recognised by the file's name or by the brace or bracket that begins it: no libconfig
/// file begins with one.
fn parse(path: &Path, file: &str, text: &[u8], origin: &Origin) -> Result<Value, ConfigError> {
    let text = text_of(file, text)?;
    let is_json = path.extension().is_some_and(|extension| extension == "json")
        || matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let mut value = if is_json {
        let text = std::str::from_utf8(text).map_err(|error| ConfigError::in_file(file, error))?;
        json::parse(file, text)?
    } else {
        libconfig::parse(file, text, origin)?
    };
    origin.expand(&mut value)?;
    Ok(value)
}

/// The contents of a file, without a byte order mark.
fn text_of<'a>(file: &str, text: &'a [u8]) -> Result<&'a [u8], ConfigError> {
    match encoding::wrong_encoding(text) {
        Some(wrong) => Err(ConfigError::in_file(file, wrong)),
        None => Ok(encoding::without_mark(text)),
    }
}

fn find<'a>(settings: &'a [Setting], name: &str) -> Option<&'a Setting> {
    settings.iter().find(|setting| setting.name == name)
}

fn list_shmem_nodes(nodes: &[Setting]) -> String {
    let is_shmem = |node: &&Setting| match &node.value.data {
        Data::Group(settings) => find(settings, "type").is_some_and(|kind| kind.text().is_ok_and(|kind| kind == "shmem")),
        _ => false,
    };
    let names: Vec<_> = nodes.iter().filter(is_shmem).map(|node| node.name.as_str()).collect();
    if names.is_empty() { "none of type \"shmem\"".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
