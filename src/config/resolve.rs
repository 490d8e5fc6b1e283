//! From what the file says to what it means: defaults, ranges, and how keys bear on each other.
//!
//! Does no input and output; keys are fetched by a function that comes in. Goes on after a mistake with the
//! default in its place, so that all mistakes are found in one reading. Invariant: if no mistake was noted,
//! the settings are complete and consistent.

mod accounts;
mod group;
mod key;
mod limits;
mod listen;
mod provider;
mod queue;
mod route;
mod speech;

pub(in crate::config) use limits::{Allowance, PACIFIC};
pub use listen::loopback_address;

use super::env::Env;
use super::mistake::{Mistake, nearest};
use super::paths;
use super::raw::{Raw, RawBreaker, RawEstimate, RawLog, RawRetry, RawServer, RawStore};
use super::reading::Bytes;
use super::secret_source::{SecretError, SecretSource};
use super::settings::Settings;
use crate::exchange::{ExchangeSettings, LearningSettings};
use crate::ids::ProviderId;
use crate::observe::{LogFormat, LogSettings};
use crate::routing::{BreakerPolicy, RetryPolicy};
use crate::secret::Secret;
use crate::server::ServerSettings;
use crate::store::StoreSettings;
use crate::units::show_duration;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;

/// Fetches a key from where the file says it is.
pub(super) type Fetch<'a> = &'a dyn Fn(&SecretSource) -> Result<Secret, SecretError>;

/// The longest duration that a setting can have: a week. Beyond it a typing error is likelier than a wish.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The shortest duration where zero would mean never or always.
const DURATION_MIN: Duration = Duration::from_millis(1);

/// What resolving needs, and the mistakes found so far.
struct Resolver<'a> {
    env: &'a Env,
    fetch: Fetch<'a>,
    mistakes: Vec<Mistake>,
}

/// The settings that a file means, and every mistake: those that reading it has found, and those that were found
/// on the way. The settings are to be used only if there is none.
pub(super) fn resolve(
    raw: Raw,
    mistakes: Vec<Mistake>,
    env: &Env,
    fetch: Fetch<'_>,
) -> (Settings, Vec<Mistake>) {
    let mut resolver = Resolver { env, fetch, mistakes };
    let mut raw_server = section(raw.server);
    let default_provider = raw_server.default_provider.take();
    let server = resolver.server(raw_server);
    let breaker = resolver.breaker(section(raw.breaker), "breaker", BreakerPolicy::default());
    let providers = resolver.providers(section(raw.provider), breaker, &server);
    let names = providers.names;
    let mut raw_queue = section(raw.queue);
    let mut raw_log = section(raw.log);
    let exchanges_kept = raw_log.exchanges_kept.take();
    let (output_guess, learning) = resolver.estimate(section(raw.estimate));
    let exchange = ExchangeSettings {
        weights: resolver.weights(raw_queue.weights.take()),
        groups: resolver.groups(section(raw.group), &names),
        routes: resolver.routes(section(raw.route), &names),
        default_provider: resolver.default_provider(default_provider, &names),
        providers: providers.resolved,
        keepalive: resolver.keepalive(&mut raw_queue),
        queue: resolver.queue(raw_queue),
        retry: resolver.retry(section(raw.retry)),
        exchanges_kept: resolver.exchanges_kept(exchanges_kept),
        output_guess,
        learning,
    };
    let store = resolver.store(section(raw.store));
    let log = resolver.log(raw_log);
    (Settings { server, exchange, store, log }, resolver.mistakes)
}

fn section<T: Default>(written: Option<Spanned<T>>) -> T {
    written.map(Spanned::into_inner).unwrap_or_default()
}

/// A string that is empty counts as not written.
fn filled(written: Option<Spanned<String>>) -> Option<Spanned<String>> {
    written.filter(|text| !text.get_ref().trim().is_empty())
}

impl Resolver<'_> {
    fn server(&mut self, raw: RawServer) -> ServerSettings {
        let usual = ServerSettings::default();
        let place = place_of([&raw.body_max, &raw.bodies_max]);
        let settings = ServerSettings {
            listen: self.listen(raw.listen, raw.allow_remote).unwrap_or(usual.listen),
            workers: as_usize(self.number(raw.workers, "server.workers", 0, 0..=1_024)),
            hosts: self.hosts(raw.hosts),
            body_max: self.size(raw.body_max, "server.body_max", usual.body_max, 1 << 32),
            bodies_max: self.size(raw.bodies_max, "server.bodies_max", usual.bodies_max, 1 << 40),
            head_timeout: self.wait(raw.head_timeout, "server.head_timeout", usual.head_timeout),
            body_idle_timeout: self.wait(
                raw.body_idle_timeout,
                "server.body_idle_timeout",
                usual.body_idle_timeout,
            ),
            write_timeout: self.wait(raw.write_timeout, "server.write_timeout", usual.write_timeout),
            connections_max: as_usize(self.number(
                raw.connections_max,
                "server.connections_max",
                usual.connections_max as u64,
                1..=1_000_000,
            )),
            drain: self.duration(raw.drain, "server.drain", usual.drain, Duration::ZERO),
        };
        if settings.body_max > settings.bodies_max && !self.is_wrong("server.body_max") {
            let wrong = format!(
                "`body_max` is {} bytes, more than `bodies_max`, {}, so that such a body never fits",
                settings.body_max, settings.bodies_max
            );
            let instead = "raise `bodies_max` or lower `body_max`";
            self.mistake(place.unwrap_or_default(), "server.body_max", wrong, instead);
        }
        settings
    }

    fn retry(&mut self, raw: RawRetry) -> RetryPolicy {
        let usual = RetryPolicy::default();
        let place = place_of([&raw.delay, &raw.delay_max]);
        let attempts =
            self.number(raw.attempts_max, "retry.attempts_max", usual.attempts_max.into(), 1..=100);
        let policy = RetryPolicy {
            attempts_max: as_u32(attempts),
            delay: self.wait(raw.delay, "retry.delay", usual.delay),
            delay_max: self.wait(raw.delay_max, "retry.delay_max", usual.delay_max),
        };
        if policy.delay > policy.delay_max {
            self.too_long(place, "retry", ("delay", policy.delay), ("delay_max", policy.delay_max));
        }
        policy
    }

    fn estimate(&mut self, raw: RawEstimate) -> (u32, LearningSettings) {
        let guess = ExchangeSettings::default().output_guess;
        let guess = self.number(raw.output_guess, "estimate.output_guess", guess.into(), 1..=10_000_000);
        let usual = LearningSettings::default();
        let percentile = usual.output_percentile.into();
        let percentile = self.number(raw.output_percentile, "estimate.output_percentile", percentile, 1..=99);
        let entries = usual.memo_entries.into();
        let entries = self.number(raw.memo_entries, "estimate.memo_entries", entries, 0..=100_000_000);
        let learning = LearningSettings {
            learn: raw.learn.map_or(usual.learn, Spanned::into_inner),
            output_percentile: u8::try_from(percentile).expect("it is below a hundred"),
            memo_entries: as_u32(entries),
        };
        (as_u32(guess), learning)
    }

    /// Written under `[log]`, because it is what an operator reads.
    fn exchanges_kept(&mut self, written: Option<Spanned<u64>>) -> usize {
        let usual = ExchangeSettings::default().exchanges_kept as u64;
        as_usize(self.number(written, "log.exchanges_kept", usual, 0..=1_000_000))
    }

    /// The breaker as written, with `usual` for what is not.
    fn breaker(&mut self, raw: RawBreaker, at: &str, usual: BreakerPolicy) -> BreakerPolicy {
        let place = place_of([&raw.open_for, &raw.open_for_max]);
        let key = |name: &str| format!("{at}.{name}");
        let failures = self.number(raw.failures, &key("failures"), usual.failures.into(), 1..=1_000_000);
        let policy = BreakerPolicy {
            failures: as_u32(failures),
            open_for: self.wait(raw.open_for, &key("open_for"), usual.open_for),
            open_for_max: self.wait(raw.open_for_max, &key("open_for_max"), usual.open_for_max),
            probe_timeout: self.wait(raw.probe_timeout, &key("probe_timeout"), usual.probe_timeout),
        };
        // Without a place of its own, the mistake was made, and noted, in the section that all inherit from.
        if policy.open_for > policy.open_for_max && place.is_some() {
            self.too_long(place, at, ("open_for", policy.open_for), ("open_for_max", policy.open_for_max));
        }
        policy
    }

    fn store(&mut self, raw: RawStore) -> StoreSettings {
        let usual = StoreSettings::default();
        let enabled = raw.enabled.is_none_or(Spanned::into_inner);
        let path = match filled(raw.path) {
            None => paths::state_directory(self.env),
            Some(written) => paths::absolute(written.get_ref(), self.env).unwrap_or_else(|| {
                let wrong = "`path` must be an absolute path";
                self.mistake(written.span(), "store.path", wrong, "begin it with `/` or `~/`");
                paths::state_directory(self.env)
            }),
        };
        StoreSettings {
            path: enabled.then_some(path),
            checkpoint_every: self.wait(
                raw.checkpoint_every,
                "store.checkpoint_every",
                usual.checkpoint_every,
            ),
        }
    }

    fn log(&mut self, raw: RawLog) -> LogSettings {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let usual = LogSettings::default();
        let level = match filled(raw.level) {
            None => usual.level,
            Some(level) => {
                let text = level.get_ref().trim();
                // A lone word is read as the name of a module, so that a mistyped level would silence the log.
                let is_level = LEVELS.contains(&text.to_ascii_lowercase().as_str());
                let is_filter = text.contains('=') && tracing_subscriber::EnvFilter::try_new(text).is_ok();
                if !is_level && !is_filter {
                    let near = nearest(text, LEVELS).map(|near| format!("did you mean \"{near}\"?"));
                    let instead = format!("write one of {}, or a filter as in RUST_LOG", LEVELS.join(", "));
                    let wrong = "`level` is no level of the log";
                    self.mistake(level.span(), "log.level", wrong, near.unwrap_or(instead));
                }
                text.to_owned()
            }
        };
        let formats = LogFormat::ALL.map(|format| (format.name(), format));
        LogSettings { level, format: self.choice(raw.format, "log.format", &formats).unwrap_or(usual.format) }
    }

    fn default_provider(&mut self, written: Option<Spanned<String>>, names: &[String]) -> Option<ProviderId> {
        let written = filled(written)?;
        if !names.contains(written.get_ref()) {
            let instead = provider_instead(written.get_ref(), names);
            let wrong = "`default_provider` names a provider that is not here";
            self.mistake(written.span(), "server.default_provider", wrong, instead);
        }
        Some(written.into_inner().into())
    }

    fn mistake(
        &mut self,
        span: Range<usize>,
        key: &str,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            span,
            key: key.to_owned(),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }

    /// Whether something was already found wrong with this key, so that it must not count as missing.
    fn is_wrong(&self, key: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.key == key)
    }

    /// A first value that is longer than the last of its series.
    fn too_long(
        &mut self,
        place: Option<Range<usize>>,
        at: &str,
        (name, value): (&str, Duration),
        (max_name, max): (&str, Duration),
    ) {
        let wrong =
            format!("`{name}` is {}, longer than `{max_name}`, {}", show_duration(value), show_duration(max));
        let instead = format!("raise `{max_name}` or lower `{name}`");
        self.mistake(place.unwrap_or_default(), &format!("{at}.{name}"), wrong, instead);
    }

    /// A number in its range, or the usual one.
    fn number(
        &mut self,
        written: Option<Spanned<u64>>,
        key: &str,
        usual: u64,
        allowed: RangeInclusive<u64>,
    ) -> u64 {
        let Some(written) = written else { return usual };
        let value = *written.get_ref();
        self.in_range(written.span(), key, &value, (*allowed.start(), *allowed.end()), |number| *number);
        value.clamp(*allowed.start(), *allowed.end())
    }

    /// A size above zero, in bytes, or the usual one.
    fn size(&mut self, written: Option<Spanned<Bytes>>, key: &str, usual: usize, max: u64) -> usize {
        let written = written.map(|size| Spanned::new(size.span(), size.get_ref().0));
        as_usize(self.number(written, key, usual as u64, 1..=max))
    }

    /// A duration above zero, or the usual one.
    fn wait(&mut self, written: Option<Spanned<Duration>>, key: &str, usual: Duration) -> Duration {
        self.duration(written, key, usual, DURATION_MIN)
    }

    fn duration(
        &mut self,
        written: Option<Spanned<Duration>>,
        key: &str,
        usual: Duration,
        min: Duration,
    ) -> Duration {
        let Some(written) = written else { return usual };
        let value = *written.get_ref();
        self.in_range(written.span(), key, &value, (min, DURATION_MAX), |value| {
            format!("\"{}\"", show_duration(*value))
        });
        value.clamp(min, DURATION_MAX)
    }

    fn in_range<T: PartialOrd, S: Display>(
        &mut self,
        span: Range<usize>,
        key: &str,
        value: &T,
        (min, max): (T, T),
        show: impl Fn(&T) -> S,
    ) {
        let name = key.rsplit('.').next().unwrap_or(key);
        if *value < min {
            let wrong = format!("`{name}` must be at least {}", show(&min));
            self.mistake(span, key, wrong, format!("write {} or more", show(&min)));
        } else if *value > max {
            let wrong = format!("`{name}` must be at most {}", show(&max));
            self.mistake(span, key, wrong, format!("write {} or less", show(&max)));
        }
    }

    /// One of a few words.
    fn choice<T: Copy>(
        &mut self,
        written: Option<Spanned<String>>,
        key: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let written = filled(written)?;
        let word = written.get_ref().trim();
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let words: Vec<String> = known.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let instead = match nearest(word, known.iter().map(|(name, _)| *name)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write {}", words.join(" or ")),
        };
        self.mistake(written.span(), key, format!("`{name}` has a value that is not known"), instead);
        None
    }
}

/// What to write where a provider was named that is not there.
fn provider_instead(name: &str, names: &[String]) -> String {
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "add a section [provider.NAME]".to_owned(),
        None => format!("name one of {}, or add a section for it", names.join(", ")),
    }
}

/// Where the first of two values stands that was written.
fn place_of<T>(written: [&Option<Spanned<T>>; 2]) -> Option<Range<usize>> {
    written.into_iter().flatten().next().map(Spanned::span)
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn as_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
