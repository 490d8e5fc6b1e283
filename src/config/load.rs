//! The two ways in: a text, and the file that a person named or that lies at a usual place.
//!
//! The only file here that reads a configuration from disk.

use super::discover::discover;
use super::env::Env;
use super::mistake::{Mistake, Mistakes};
use super::paths::{Chosen, ConfigPlace, config_place};
use super::raw::Raw;
use super::reading::Reader;
use super::resolve::{Fetch, resolve};
use super::secret_source::fetch;
use super::settings::Settings;
use crate::exchange::Provider;
use crate::secret::Secret;
use crate::server::ListenAddress;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The largest configuration that is read. Ten thousand routes fit in; a file given by mistake does not.
const CONFIG_MAX: u64 = 1 << 20;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What it says. Without a file it names no provider yet: see [`Loaded::discover`].
    pub settings: Settings,
    /// The file, and who named it. `None` if there is none.
    pub place: Option<ConfigPlace>,
    /// What a person should know, one sentence each, without a full stop.
    pub notes: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file does not exist.
    #[error("there is no configuration file {}", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than 1 MiB or not UTF-8.
    #[error("the configuration file {} is no text of at most 1 MiB", .0.display())]
    NotText(PathBuf),
    /// The file has mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
}

impl ConfigError {
    /// The exit code of a program that cannot go on, as in `sysexits.h`: 66 no input, 77 not permitted, 74 input
    /// error, 78 configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            ConfigError::Missing(_) => 66,
            ConfigError::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 77,
            ConfigError::Unreadable { .. } => 74,
            ConfigError::NotText(_) | ConfigError::Mistakes(_) => 78,
        }
    }
}

/// Reads a configuration text; fetches the keys that it names. `file_name` stands in the report.
///
/// # Errors
/// Every mistake in the text, all at once; where it is no TOML, the places where it is not.
pub fn load(text: &str, file_name: &str, env: &Env) -> Result<Settings, Mistakes> {
    load_with(text, file_name, env, &|source| fetch(source, env))
}

/// Reads the configuration file: `given`, else `$TIDEGATE_CONFIG`, else the first at the usual places; without
/// any, the usual settings. Blocks while it reads files and runs the commands that print keys.
///
/// # Errors
/// If a named file is missing, or the file cannot be read or has mistakes.
pub fn read(given: Option<&Path>, env: &Env) -> Result<Loaded, ConfigError> {
    let Some(place) = config_place(given, env) else {
        let settings = with_log_filter(Settings::usual(env), env);
        return Ok(Loaded { settings, place: None, notes: Vec::new() });
    };
    let text = read_text(&place.path)?;
    let settings = load(&text, &place.path.to_string_lossy(), env).map_err(ConfigError::Mistakes)?;
    let notes = settings.exchange.providers.iter().filter_map(keyless).collect();
    Ok(Loaded { settings: with_log_filter(settings, env), place: Some(place), notes })
}

/// Where a gateway with this configuration listens, for whoever wants to ask it something. Fetches no key, and is not
/// stopped by mistakes that say nothing of addresses.
///
/// # Errors
/// If a named file is missing or cannot be read.
pub fn listen_addresses(given: Option<&Path>, env: &Env) -> Result<Vec<ListenAddress>, ConfigError> {
    let Some(place) = config_place(given, env) else { return Ok(Settings::usual(env).server.listen) };
    let text = read_text(&place.path)?;
    let (table, _) = DeTable::parse_recoverable(&text);
    let mut reader = Reader { env, mistakes: Vec::new() };
    let raw: Raw = reader.section(table.get_ref(), "");
    let (settings, _) = resolve(raw, reader.mistakes, env, &|_| Ok(Secret::new(String::new())));
    Ok(settings.server.listen)
}

/// `$RUST_LOG` wins over the file, as in other programs: it is set to look at one run.
fn with_log_filter(mut settings: Settings, env: &Env) -> Settings {
    if let Some(filter) = env.get("RUST_LOG") {
        filter.clone_into(&mut settings.log.level);
    }
    settings
}

impl Loaded {
    /// Without a file: takes the providers that the environment and this machine offer, the first of them for models
    /// that nobody claims. With a file, does nothing. Takes 300 ms at most.
    pub async fn discover(&mut self, env: &Env) {
        if self.place.is_some() {
            return;
        }
        let found = discover(env, &self.settings.server).await;
        self.settings.exchange.default_provider = found.providers.first().map(|first| first.id.clone());
        self.settings.exchange.providers = found.providers;
        self.notes.extend(found.notes);
    }

    /// Where the settings come from, in words for the start-up and the log.
    pub fn origin(&self) -> String {
        match &self.place {
            None => "no configuration file".to_owned(),
            Some(ConfigPlace { path, chosen: Chosen::Variable }) => {
                format!("{} (from $TIDEGATE_CONFIG)", path.display())
            }
            Some(ConfigPlace { path, .. }) => path.display().to_string(),
        }
    }
}

/// [`load`], with keys fetched by `fetch`.
pub(super) fn load_with(
    text: &str,
    file_name: &str,
    env: &Env,
    fetch: Fetch<'_>,
) -> Result<Settings, Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What was saved of a broken text would be full of mistakes that nobody made.
        return Err(Mistakes::new(file_name, text, syntax_mistakes(text, &errors)));
    }
    let mut reader = Reader { env, mistakes: Vec::new() };
    let raw: Raw = reader.section(table.get_ref(), "");
    let (settings, list) = resolve(raw, reader.mistakes, env, fetch);
    if list.is_empty() { Ok(settings) } else { Err(Mistakes::new(file_name, text, list)) }
}

/// The first error of each line: the others on it mostly follow from that one.
fn syntax_mistakes(text: &str, errors: &[toml::de::Error]) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        let before = mistakes.last().map(|last| last.span.start.min(span.start)..span.start);
        let is_new_line =
            |range| text.as_bytes().get(range).is_none_or(|bytes: &[u8]| bytes.contains(&b'\n'));
        if !before.is_none_or(is_new_line) {
            continue;
        }
        let instead = match error.message() {
            "duplicate key" => "keep one of the two",
            _ => {
                "look for a quote, bracket or comma that is missing here or above; https://toml.io has the rules"
            }
        };
        let (wrong, instead) = (error.message().to_owned(), instead.to_owned());
        mistakes.push(Mistake { span, key: String::new(), wrong, instead });
    }
    mistakes
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing(path.to_owned()),
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(CONFIG_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > CONFIG_MAX {
        return Err(ConfigError::NotText(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::NotText(path.to_owned()))
}

/// Most providers far away want a key; that one is missing is easily overlooked where its variable is empty.
fn keyless(provider: &Provider) -> Option<String> {
    let base = super::base_url::BaseUrl::parse(&provider.upstream.base_url).ok()?;
    let is_keyless = provider.upstream.credential.is_none() && !base.is_loopback();
    is_keyless.then(|| format!("provider {} has no key; requests go to it without one", provider.id))
}

#[cfg(test)]
mod tests;
