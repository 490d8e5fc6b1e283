//! Keys: from the one source that a section names, be it a provider's or that of one of its accounts.
//!
//! Invariant: no mistake shows a key, and a key that no header can carry is never used.

use super::super::discover::{is_sendable, key_from_environment};
use super::super::raw::{RawAccount, RawProvider};
use super::super::reading::Verbatim;
use super::super::secret_source::SecretSource;
use super::super::vendors::Vendor;
use super::{Resolver, filled};
use crate::secret::Secret;
use std::ops::Range;
use toml::Spanned;

/// The key that a section names, and where.
pub(super) struct Key {
    pub(super) span: Range<usize>,
    pub(super) key: Secret,
}

/// The keys of a section that may hold one.
pub(super) struct KeySources {
    literal: Option<Spanned<Secret>>,
    file: Option<Spanned<String>>,
    command: Option<Spanned<Verbatim>>,
    credential: Option<Spanned<String>>,
}

impl KeySources {
    pub(super) fn of_provider(raw: &mut RawProvider) -> KeySources {
        KeySources {
            literal: raw.api_key.take(),
            file: raw.api_key_file.take(),
            command: raw.api_key_command.take(),
            credential: raw.api_key_credential.take(),
        }
    }

    pub(super) fn of_account(raw: &mut RawAccount) -> KeySources {
        KeySources {
            literal: raw.api_key.take(),
            file: raw.api_key_file.take(),
            command: raw.api_key_command.take(),
            credential: raw.api_key_credential.take(),
        }
    }

    /// Where the first of them stands that is written.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        let literal = self.literal.as_ref().map(Spanned::span);
        let file = || self.file.as_ref().map(Spanned::span);
        let command = || self.command.as_ref().map(Spanned::span);
        let credential = || self.credential.as_ref().map(Spanned::span);
        literal.or_else(file).or_else(command).or_else(credential)
    }
}

impl Resolver<'_> {
    /// The key, from the one source that is written; from the vendor's usual variable if none is and the key goes
    /// to the vendor's own address.
    pub(super) fn key(&mut self, written: KeySources, at: &str, vendor: Option<&Vendor>) -> Option<Key> {
        if written.first().is_none() {
            let key = vendor.and_then(|vendor| key_from_environment(vendor, self.env))?;
            return Some(Key { span: 0..0, key });
        }
        let KeySources { literal, file, command, credential } = written;
        let mut sources = Vec::new();
        if let Some(literal) = literal.filter(|key| !key.get_ref().expose().trim().is_empty()) {
            let key = Secret::new(literal.get_ref().expose().trim().to_owned());
            sources.push(("api_key", literal.span(), Ok(key)));
        }
        if let Some(path) = filled(file) {
            let key = self.key_file(&path, at).map(SecretSource::File);
            sources.push(("api_key_file", path.span(), Err(key)));
        }
        if let Some(command) = command.filter(|command| !command.get_ref().0.trim().is_empty()) {
            let source = SecretSource::Command(command.get_ref().0.clone());
            sources.push(("api_key_command", command.span(), Err(Some(source))));
        }
        if let Some(name) = filled(credential) {
            let source = SecretSource::Credential(name.get_ref().trim().to_owned());
            sources.push(("api_key_credential", name.span(), Err(Some(source))));
        }
        for (name, span, _) in sources.iter().skip(1) {
            let wrong = format!("there are two keys: `{}` and `{name}`", sources[0].0);
            self.mistake(span.clone(), &format!("{at}.{name}"), wrong, "keep one of them");
        }
        let (name, span, source) = sources.into_iter().next()?;
        let path = format!("{at}.{name}");
        let key = match source {
            Ok(key) => key,
            Err(source) => match (self.fetch)(&source?) {
                Ok(key) => key,
                Err(error) => {
                    self.mistake(span, &path, error.to_string(), error.remedy());
                    return None;
                }
            },
        };
        if !is_sendable(key.expose()) {
            let wrong = "this key holds characters that no header can carry";
            self.mistake(span.clone(), &path, wrong, "give the key alone: no spaces, line ends or accents");
        }
        Some(Key { span, key })
    }

    fn key_file(&mut self, path: &Spanned<String>, at: &str) -> Option<std::path::PathBuf> {
        let absolute = super::paths::absolute(path.get_ref().trim(), self.env);
        if absolute.is_none() {
            let instead = "begin it with `/` or `~/`; a key itself belongs into `api_key`";
            let key = format!("{at}.api_key_file");
            self.mistake(path.span(), &key, "`api_key_file` must be an absolute path", instead);
        }
        absolute
    }
}
