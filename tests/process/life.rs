//! Crashes, drains and reloads, as a process goes through them.

use crate::child::{House, Program, header, soon};
use serde_json::json;
use std::time::Duration;
use tidegate::clock::Clock;
use tokio::net::TcpStream;

/// A stream that has begun and stands still at the provider until it is released.
async fn standing_stream(house: &House, program: &Program) -> reqwest::Response {
    house.provider.update(|faults| faults.stall_after_chunks = Some(3));
    let stream = soon(program.chat("sim", json!({"stream": true})).send()).await;
    let mut stream = stream.expect("the program answers");
    assert_eq!(stream.status(), 200);
    assert!(matches!(soon(stream.chunk()).await, Ok(Some(_))), "it has begun");
    soon(house.provider.wait_for(|stats| stats.held == 1)).await;
    stream
}

/// Connections end in a refusal, sooner or later.
async fn until_closed(program: &Program) {
    let address = program.base.trim_start_matches("http://").to_owned();
    soon(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_spent_minute_is_no_amnesty() {
    let house = House::new().await;
    house.configure("limits = { requests_per_minute = 30, burst_requests = 1 }", "");
    let program = house.start().await;
    let clock = Clock::start();
    let began = clock.now();
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
    let saved = |page: &str| {
        page.lines().any(|line| line.starts_with("tidegate_checkpoints_total ") && !line.ends_with(" 0"))
    };
    program.until("/metrics", saved).await;
    program.signal("KILL").await;
    assert_eq!(program.ended().await.code, None, "it was killed");

    let program = house.start().await;
    let answer = soon(program.chat("sim", json!({})).send()).await.unwrap();
    let took = clock.now().since(began);
    assert_eq!(answer.status(), 200);
    // One in two seconds: the time between the two counts, whoever was running.
    assert!(took >= Duration::from_millis(1_950), "{took:?}");
    let queued: u64 = header(&answer, "x-tidegate-queued-ms").parse().unwrap();
    assert!(queued <= 2_000, "{queued}");
}

#[tokio::test]
async fn a_stop_lets_what_runs_finish_and_takes_no_more() {
    let house = House::new().await;
    let mut program = house.start().await;
    let stream = standing_stream(&house, &program).await;
    program.signal("TERM").await;
    program.until_said("stopping").await;
    until_closed(&program).await;
    house.provider.release(1);
    let rest = soon(stream.text()).await.unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn an_interrupt_stops_an_idle_program_at_once() {
    let house = House::new().await;
    let program = house.start().await;
    // A connection that is kept open for later holds nothing up.
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
    program.signal("INT").await;
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_second_stop_ends_it_now() {
    let house = House::new().await;
    let mut program = house.start().await;
    let stream = standing_stream(&house, &program).await;
    program.signal("TERM").await;
    program.until_said("stopping").await;
    program.signal("TERM").await;
    assert_eq!(program.ended().await.code, Some(130));
    assert!(soon(stream.text()).await.is_err(), "what was broken off does not look complete");
}

#[tokio::test]
async fn a_stop_breaks_off_what_takes_too_long_and_never_as_complete() {
    let house = House::new().await;
    house.configure("", "[server]\ndrain = \"100ms\"");
    let program = house.start().await;
    let stream = standing_stream(&house, &program).await;
    program.signal("TERM").await;
    assert_eq!(program.ended().await.code, Some(0));
    assert!(soon(stream.text()).await.is_err());
}

#[tokio::test]
async fn who_waits_for_room_at_a_stop_is_still_served() {
    let house = House::new().await;
    house.configure("limits = { concurrent = 1 }", "");
    house.provider.update(|faults| faults.gate = true);
    let mut program = house.start().await;
    let tasks = tidegate::tasks::Tasks::new();
    let call = |program: &Program| tasks.spawn("call", program.chat("sim", json!({})).send());
    let first = call(&program);
    soon(house.provider.wait_for(|stats| stats.held == 1)).await;
    let second = call(&program);
    program.until("/health", |page| page.contains(r#""normal":1"#)).await;
    program.signal("TERM").await;
    program.until_said("stopping").await;
    house.provider.update(|faults| faults.gate = false);
    for call in [first, second] {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_reload_takes_effect_and_drops_no_stream() {
    let house = House::new().await;
    let program = house.start().await;
    let stream = standing_stream(&house, &program).await;
    assert_eq!(program.chat("fast", json!({})).send().await.unwrap().status(), 404, "not yet");
    house.configure("limits = { concurrent = 7 }", "[route.fast]\ntargets = [\"sim/sim\"]");
    program.signal("HUP").await;
    program.until("/v1/models", |page| page.contains(r#""fast""#)).await;
    house.provider.update(|faults| faults.stall_after_chunks = None);
    assert!(soon(stream.text()).await.unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(program.chat("fast", json!({})).send().await.unwrap().status(), 200);
    assert!(program.get("/metrics").await.contains("tidegate_config_last_reload_successful 1"));
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_is_told_until_it_is_mended() {
    let house = House::new().await;
    house.configure("", "[route.fast]\ntargets = [\"sim/sim\"]");
    let mut program = house.start().await;
    for broken in ["[provider.sim]\nbase_url = 7", "[[", ""] {
        if broken.is_empty() {
            std::fs::remove_file(house.config()).unwrap();
        } else {
            std::fs::write(house.config(), broken).unwrap();
        }
        program.signal("HUP").await;
        program.until("/health", |page| page.contains("reload_error")).await;
        assert_eq!(program.health().await["status"], "warn");
        assert_eq!(program.chat("fast", json!({})).send().await.unwrap().status(), 200);
        assert!(program.get("/metrics").await.contains("tidegate_config_last_reload_successful 0"));
        house.configure("", "[route.fast]\ntargets = [\"sim/sim\"]");
        program.signal("HUP").await;
        program.until("/health", |page| !page.contains("reload_error")).await;
    }
    program.until_said("the configuration was not reloaded").await;
}

#[tokio::test]
async fn a_reload_that_cannot_read_its_file_says_what_the_system_said() {
    let house = House::new().await;
    let program = house.start().await;
    std::fs::remove_file(house.config()).unwrap();
    std::fs::create_dir(house.config()).unwrap();
    program.signal("HUP").await;
    program.until("/health", |page| page.contains("reload_error")).await;
    let error = program.health().await["reload_error"].to_string();
    assert!(error.contains("cannot be read: Is a directory"), "{error}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_slow_reload() {
    let house = House::new().await;
    let key = house.folder.path().join("slow");
    let command = format!("if test -e {0}; then sleep 60; fi; echo key", key.display());
    house.configure(&format!("api_key_command = \"{command}\""), "");
    let mut program = house.start().await;
    std::fs::write(&key, "").unwrap();
    house.configure(&format!("api_key_command = \"touch {}.begun; {command}\"", key.display()), "");
    program.signal("HUP").await;
    soon(async {
        while !key.with_extension("begun").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let clock = Clock::start();
    let began = clock.now();
    program.signal("TERM").await;
    program.until_said("stopping").await;
    assert_eq!(program.ended().await.code, Some(0));
    // The command itself may take ten seconds.
    assert!(clock.now().since(began) < Duration::from_secs(5));
}

#[tokio::test]
async fn few_descriptors_at_the_start_are_more_in_use() {
    const AGENTS: usize = 60;
    let house = House::new().await;
    house.provider.update(|faults| faults.gate = true);
    let mut command = house.command_after("ulimit -Sn 64;");
    command.args(["--listen", "127.0.0.1:0"]);
    let program = Program::start(command).await;
    let tasks = tidegate::tasks::Tasks::new();
    let calls: Vec<_> =
        (0..AGENTS).map(|_| tasks.spawn("call", program.chat("sim", json!({})).send())).collect();
    soon(house.provider.wait_for(|stats| stats.held == u64::try_from(AGENTS).unwrap())).await;
    house.provider.update(|faults| faults.gate = false);
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
}
