//! One case for each row of the decision table, with the words that vendors really send.

use super::*;

const NO_WAIT: Option<Duration> = None;

/// A body is written `kind|code|message`, empty parts left out.
fn judged(status: u16, body: &str, retry_after: Option<u64>) -> Outcome {
    let mut parts = body.splitn(3, '|');
    let mut word = || parts.next().filter(|part| !part.is_empty());
    let (kind, code) = (word(), word());
    let facts = ErrorFacts { kind, code, message: word().unwrap_or(""), ..ErrorFacts::default() };
    judge(StatusCode::from_u16(status).unwrap(), &facts, retry_after.map(Duration::from_secs))
}

fn check(expected: Outcome, cases: &[(u16, &str)]) {
    for (status, body) in cases {
        assert_eq!(judged(*status, body, None), expected, "{status} {body}");
    }
}

#[test]
fn success_is_served() {
    check(Outcome::Served, &[(200, "||"), (201, "||"), (204, "||")]);
}

#[test]
fn a_limit_over_a_minute_is_waited_for() {
    let minute = Outcome::RateLimited { retry_after: NO_WAIT, window: Window::Minute };
    check(
        minute,
        &[
            (
                429,
                "tokens|rate_limit_exceeded|Rate limit reached for gpt-4o on tokens per min (TPM): Limit \
                 30000, Used 29000, Requested 1500. Please try again in 1s.",
            ),
            (429, "rate_limit_error||This request would exceed your organization's rate limit"),
            (
                429,
                "|429|You have exceeded token rate limit of your pricing tier. Please retry after 37 seconds.",
            ),
            (429, "RESOURCE_EXHAUSTED|429|Quota exceeded, limit: 20. Please retry in 12.3s"),
            (429, "RESOURCE_EXHAUSTED|RATE_LIMIT_EXCEEDED|limit: 0.5 a second"),
            (429, "rate_limited|1300|Rate limit exceeded"),
            (429, "|rate_limit_exceeded|Limit 0.5, Used 1"),
            (429, "||"),
        ],
    );
    assert_eq!(
        judged(429, "||", Some(7)),
        Outcome::RateLimited { retry_after: Some(Duration::from_secs(7)), window: Window::Minute }
    );
}

#[test]
fn a_limit_over_a_day_is_told_apart() {
    let day = Outcome::RateLimited { retry_after: NO_WAIT, window: Window::Day };
    check(
        day,
        &[
            (
                429,
                "requests|rate_limit_exceeded|Rate limit reached on requests per day (RPD): Limit 200, Used 200",
            ),
            (429, "tokens|rate_limit_exceeded|on tokens (TPD): Limit 100000, Used 99000"),
            (429, "||Rate limit exceeded: free-models-per-day"),
            (429, "ThrottlingException||Too many tokens per day, please wait before trying again."),
            (429, "usage_limit_reached||The usage limit has been reached"),
        ],
    );
    let facts = ErrorFacts { daily: true, ..ErrorFacts::default() };
    let wait = Some(Duration::from_secs(3_600));
    assert_eq!(
        judge(StatusCode::TOO_MANY_REQUESTS, &facts, wait),
        Outcome::RateLimited { retry_after: wait, window: Window::Day }
    );
}

#[test]
fn a_request_above_the_whole_limit_is_never_waited_for() {
    check(
        Outcome::TooLarge,
        &[
            (
                429,
                "tokens|rate_limit_exceeded|Request too large for gpt-4o (TPM): Limit 30000, Requested 36055",
            ),
            (413, "tokens|rate_limit_exceeded|Request too large for model `x` on tokens per minute (TPM)"),
            (413, "|rate_limit_exceeded|"),
        ],
    );
    let facts = ErrorFacts { above_limit: true, ..ErrorFacts::default() };
    assert_eq!(judge(StatusCode::TOO_MANY_REQUESTS, &facts, None), Outcome::TooLarge);
    assert_eq!(judge(StatusCode::BAD_REQUEST, &facts, None), Outcome::Rejected);
    assert_eq!(judged(429, "|429|retry after 86400 seconds", Some(86_400)), Outcome::TooLarge);
    assert!(matches!(judged(429, "||", Some(3_600)), Outcome::RateLimited { .. }));
}

#[test]
fn a_ramp_that_was_too_steep_is_a_matter_of_pace() {
    check(
        Outcome::RateLimited { retry_after: NO_WAIT, window: Window::Ramp },
        &[
            (429, "rate_limit_error|slow_down|"),
            (503, "rate_limit_error|slow_down|Slow down"),
            (
                429,
                "rate_limit_error||This request would exceed your organization's maximum usage increase rate for input \
                 tokens per minute. Please scale up your input tokens usage more gradually to stay within the \
                 acceleration limit.",
            ),
            (429, "dynamic_request_limited||"),
            (429, "dynamic_token_limited||You are above your dynamic rate"),
        ],
    );
    let wait = Some(Duration::from_secs(9));
    let ramp = Outcome::RateLimited { retry_after: wait, window: Window::Ramp };
    assert_eq!((judged(429, "|slow_down|", Some(9)), ramp.verdict()), (ramp, Verdict::Neutral));
}

#[test]
fn money_is_recognised_under_every_status() {
    check(
        Outcome::OutOfMoney,
        &[
            (429, "insufficient_quota|insufficient_quota|You exceeded your current quota"),
            (429, "insufficient_quota|credit_balance_exhausted|"),
            (429, "|organization_spend_limit_exceeded|"),
            (429, "|project_spend_limit_exceeded|"),
            (429, "|organization_usage_limit_exceeded|"),
            (429, "|billing_hard_limit_reached|"),
            (403, "|billing_not_active|"),
            (402, "billing_error||Your credit balance"),
            (
                400,
                "invalid_request_error||You have reached your specified API usage limits. You will regain access",
            ),
            (400, "invalid_request_error||You have reached your specified workspace API usage limits."),
            (400, "invalid_request_error||Your credit balance is too low to access the API"),
            (429, "rate_limit_error|enforced_spend_limit_reached|"),
            (402, "||Insufficient Balance"),
            (402, "|402|This request requires more credits"),
            (403, "||Your team has either used all available credits or reached its monthly spending limit"),
        ],
    );
    assert_eq!(judged(402, "billing_error||", Some(5)), Outcome::OutOfMoney);
}

#[test]
fn a_402_that_says_when_to_come_back_is_a_limit() {
    assert_eq!(
        judged(402, "|402|Too many requests in flight for your balance", Some(3)),
        Outcome::RateLimited { retry_after: Some(Duration::from_secs(3)), window: Window::Minute }
    );
}

#[test]
fn overload_is_told_apart_from_limits() {
    check(
        Outcome::Overloaded { retry_after: NO_WAIT },
        &[
            (529, "overloaded_error||Overloaded"),
            (529, "||"),
            (503, "service_unavailable_error|server_is_overloaded|"),
            (503, "UNAVAILABLE|503|The model is overloaded."),
            (503, "unavailable_error|503|Loading model"),
            (498, "|capacity_exceeded|"),
            (498, "||"),
            (503, "ServiceUnavailableException||"),
            (429, "|ModelNotReadyException|"),
            (429, "|429|The system is currently experiencing high demand"),
            (429, "RESOURCE_EXHAUSTED|MODEL_CAPACITY_EXHAUSTED|"),
            (500, "overloaded_error||"),
        ],
    );
}

#[test]
fn other_five_hundreds_are_server_errors() {
    check(
        Outcome::ServerError { retry_after: NO_WAIT },
        &[
            (500, "api_error||"),
            (500, "server_error||"),
            (502, "||<html>"),
            (504, "timeout_error||"),
            (520, "||"),
            (524, "||"),
            (599, "||"),
        ],
    );
    let wait = Some(Duration::from_secs(2));
    assert_eq!(judged(500, "||", Some(2)), Outcome::ServerError { retry_after: wait });
}

#[test]
fn conflicts_and_server_side_request_timeouts_may_be_sent_again() {
    check(
        Outcome::Conflict { retry_after: NO_WAIT },
        &[(408, "||"), (409, "conflict_error||"), (499, "CANCELLED||")],
    );
}

#[test]
fn too_much_context_goes_back_so_that_the_client_can_shorten() {
    check(
        Outcome::Rejected,
        &[
            (
                400,
                "invalid_request_error|context_length_exceeded|This model's maximum context length is 8192 tokens",
            ),
            (400, "invalid_request_error||prompt is too long: 210000 tokens > 200000 maximum"),
            (400, "invalid_request_error||input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            (400, "exceed_context_size_error|400|the request exceeds the available context size"),
            (500, "exceed_context_size_error|500|"),
            (400, "ValidationException||Input is too long for requested model."),
            (403, "||This model's maximum context length is 4097 tokens"),
            (422, "||maximum context length"),
            (400, "INVALID_ARGUMENT|400|The input token count (9) exceeds the maximum"),
        ],
    );
}

#[test]
fn what_the_client_did_wrong_goes_back_unchanged() {
    check(
        Outcome::Rejected,
        &[
            (413, "request_too_large||Request exceeds the maximum size"),
            (413, "||<html>"),
            (413, "|413|Payload Too Large"),
            (400, "|content_policy_violation|"),
            (400, "|content_filter|The response was filtered"),
            (403, "|403|Your input was flagged by moderation"),
            (403, "|content_filter|"),
            (400, "invalid_request_error||'messages' is a required property"),
            (405, "||"),
            (415, "||"),
            (422, "||"),
        ],
    );
}

#[test]
fn a_wrong_key_is_recognised_under_every_status() {
    check(
        Outcome::CredentialRefused,
        &[
            (401, "invalid_request_error|invalid_api_key|Incorrect API key provided"),
            (401, "authentication_error||"),
            (401, "||"),
            (400, "INVALID_ARGUMENT|API_KEY_INVALID|API key not valid."),
            (403, "|invalid_api_key|"),
        ],
    );
}

#[test]
fn what_the_account_may_not_do_moves_on() {
    check(
        Outcome::Forbidden,
        &[
            (403, "permission_error||"),
            (403, "|unsupported_country_region_territory|"),
            (400, "FAILED_PRECONDITION|400|User location is not supported"),
            (429, "RESOURCE_EXHAUSTED|429|Quota exceeded for metric: x, limit: 0, model: y"),
            (429, "RESOURCE_EXHAUSTED|429|limit: 0"),
            (451, "||"),
            (302, "||"),
            (308, "||"),
            (508, "invalid_request_error|loop|This request has been through this gateway before"),
        ],
    );
}

#[test]
fn a_model_without_any_allowance_moves_on() {
    let facts = ErrorFacts { no_allowance: true, ..ErrorFacts::default() };
    let wait = Some(Duration::from_secs(5));
    assert_eq!(judge(StatusCode::TOO_MANY_REQUESTS, &facts, wait), Outcome::Forbidden);
    assert_eq!(judge(StatusCode::OK, &facts, None), Outcome::Served);
}

#[test]
fn a_missing_model_moves_on() {
    check(
        Outcome::ModelMissing,
        &[
            (404, "invalid_request_error|model_not_found|The model `x` does not exist"),
            (403, "invalid_request_error|model_not_found|Project does not have access"),
            (404, "not_found_error||model: x"),
            (404, "|DeploymentNotFound|"),
            (404, "||model \"x\" not found, try pulling it first"),
        ],
    );
}

#[test]
fn only_its_own_faults_make_a_target_sick() {
    for (outcome, verdict) in [
        (Outcome::Served, Verdict::Well),
        (Outcome::Overloaded { retry_after: None }, Verdict::Sick),
        (Outcome::ServerError { retry_after: None }, Verdict::Sick),
        (Outcome::Unreachable, Verdict::Sick),
        (Outcome::TimedOut, Verdict::Sick),
        (Outcome::RateLimited { retry_after: None, window: Window::Minute }, Verdict::Neutral),
        (Outcome::RateLimited { retry_after: None, window: Window::Day }, Verdict::Neutral),
        (Outcome::TooLarge, Verdict::Neutral),
        (Outcome::Conflict { retry_after: None }, Verdict::Neutral),
        (Outcome::Unsent, Verdict::Neutral),
        (Outcome::CredentialRefused, Verdict::Neutral),
        (Outcome::OutOfMoney, Verdict::Neutral),
        (Outcome::ModelMissing, Verdict::Neutral),
        (Outcome::Forbidden, Verdict::Neutral),
        (Outcome::Rejected, Verdict::Neutral),
    ] {
        assert_eq!(outcome.verdict(), verdict, "{}", outcome.name());
    }
}

#[test]
fn a_long_quotation_of_the_client_does_not_decide() {
    let message = format!("{}insufficient_quota request too large", "x".repeat(5_000));
    let facts = ErrorFacts { message: &message, ..ErrorFacts::default() };
    assert!(matches!(judge(StatusCode::TOO_MANY_REQUESTS, &facts, None), Outcome::RateLimited { .. }));
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(status in 100u16..1_000, message in ".*", word in proptest::option::of(".*")) {
        let facts = ErrorFacts { message: &message, kind: word.as_deref(), ..ErrorFacts::default() };
        judge(StatusCode::from_u16(status).unwrap(), &facts, None).verdict();
    }
}
