//! Several accounts of one provider: each a provider of its own but for what they have in common.
//!
//! Invariant: every account has a key, and no two have the same, or each would count on a limit that is one.

use super::super::mistake::named;
use super::super::raw::RawAccount;
use super::super::reading::Named;
use super::Resolver;
use super::key::{Key, KeySources};
use super::limits::Allowance;
use super::provider::is_plain_name;
use crate::exchange::Provider;
use crate::upstream::{AuthScheme, Credential, UpstreamSettings};
use toml::Spanned;

/// The most accounts of one provider. Who asks for room names each of them.
const ACCOUNTS_MAX: usize = 64;

/// The accounts of one provider.
pub(super) struct Accounts(Vec<Account>);

struct Account {
    name: String,
    key: Key,
    /// Its own; else the provider's hold.
    limits: Option<Allowance>,
}

impl Accounts {
    /// The keys of all.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(|account| &account.key)
    }

    /// Each account as a provider.
    pub(super) fn of(self, provider: &Provider, scheme: AuthScheme) -> Vec<Provider> {
        let account = |Account { name, key, limits }: Account| {
            let credential = Some(Credential { scheme, key: key.key });
            let usual = Allowance { limits: provider.limits, day_end: provider.day_end };
            let Allowance { limits, day_end } = limits.unwrap_or(usual);
            Provider {
                id: provider.id.account(&name),
                account_of: Some(provider.id.clone()),
                upstream: UpstreamSettings { credential, ..provider.upstream.clone() },
                limits,
                day_end,
                ..provider.clone()
            }
        };
        self.0.into_iter().map(account).collect()
    }
}

impl Resolver<'_> {
    /// The accounts as written; `own` is what the provider says of a key of its own, which it must not have.
    pub(super) fn accounts(
        &mut self,
        written: Spanned<Vec<Named<RawAccount>>>,
        own: &KeySources,
        provider: &str,
        usual: Allowance,
    ) -> Accounts {
        let at = format!("{provider}.accounts");
        if let Some(span) = own.first() {
            let wrong = "this provider has accounts and a key of its own";
            self.mistake(span, provider, wrong, "write the key as one of the accounts");
        }
        let (span, written) = (written.span(), written.into_inner());
        if written.is_empty() || written.len() > ACCOUNTS_MAX {
            let wrong = format!("`accounts` must hold from 1 to {ACCOUNTS_MAX} accounts");
            self.mistake(span, &at, wrong, "write accounts = { work = { api_key = \"...\" } }");
        }
        let mut accounts: Vec<Account> = Vec::new();
        for Named { name, mut section } in written.into_iter().take(ACCOUNTS_MAX) {
            let at = format!("{at}.{}", named(name.get_ref()));
            if !is_plain_name(name.get_ref()) {
                let wrong = "an account's name may hold letters, digits, `-`, `_` and `.`, at most 64";
                self.mistake(name.span(), &at, wrong, "write accounts = { work = { api_key = \"...\" } }");
            }
            let limits =
                section.limits.take().map(|own| self.limits(Some(own), &format!("{at}.limits"), usual));
            let before = self.mistakes.len();
            let key = self.key(KeySources::of_account(&mut section), &at, None);
            let Some(key) = key else {
                if self.mistakes.len() == before
                    && !self.mistakes.iter().any(|known| known.key.starts_with(&at))
                {
                    let instead = "write api_key or one of its kin, or take the account out";
                    self.mistake(name.span(), &at, "this account has no key", instead);
                }
                continue;
            };
            if accounts.iter().any(|known| known.key.key.expose() == key.key.expose()) {
                let instead = "give each its own key; a limit is counted once for each account";
                self.mistake(name.span(), &at, "another account has the same key", instead);
            }
            accounts.push(Account { name: name.into_inner(), key, limits });
        }
        Accounts(accounts)
    }
}
