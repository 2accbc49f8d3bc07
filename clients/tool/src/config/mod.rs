//! Configuration files: libconfig syntax or JSON, as VILLASnode reads them.
//!
//! One node of type `shmem` is taken out of the file; everything else in it (other nodes, `paths`,
//! `logging`, ...) is none of this tool's business and may be anything that the syntax allows.

mod json;
mod libconfig;
mod node;
mod signals;
mod value;

use std::path::Path;

pub(crate) use node::{Layout, NodeConfig};
pub(crate) use value::ConfigError;
use value::{Data, Setting};

/// Reads the file at `path` and takes the node called `name` out of it.
pub(crate) fn load(path: &Path, name: &str) -> Result<NodeConfig, ConfigError> {
    let text = std::fs::read(path).map_err(|error| ConfigError::in_file(&path.display().to_string(), error))?;
    load_text(path, &text, name)
}

/// The same from what stands in the file.
pub(crate) fn load_text(path: &Path, text: &[u8], name: &str) -> Result<NodeConfig, ConfigError> {
    let file = path.display().to_string();
    let settings = parse(path, &file, text)?;
    let nodes = find(&settings, "nodes").ok_or_else(|| ConfigError::in_file(&file, "no \"nodes\" here"))?.group()?;
    let node = find(nodes, name).ok_or_else(|| {
        let message = format!("no node is called \"{name}\"; there are: {}", list_shmem_nodes(nodes));
        ConfigError::in_file(&file, message)
    })?;
    NodeConfig::from_setting(node)
}

/// JSON is known by its name or by the brace that begins it: no libconfig file begins with one.
fn parse(path: &Path, file: &str, text: &[u8]) -> Result<Vec<Setting>, ConfigError> {
    let is_json = path.extension().is_some_and(|extension| extension == "json") || text.trim_ascii_start().starts_with(b"{");
    if is_json {
        let text = std::str::from_utf8(text).map_err(|error| ConfigError::in_file(file, error))?;
        json::parse(file, text)
    } else {
        // Relative to the main file, and not to the working directory, as in VILLASnode.
        libconfig::parse(file, text, path.parent().unwrap_or(Path::new("")))
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
