//! Why the program ends: each reason has its exit code, and says in words what is to be done.

use crate::child::{End, House, Program};
use std::path::Path;
use tokio::net::TcpListener;

async fn run(house: &House, arguments: &[&str]) -> End {
    Program::spawn(house.command(arguments)).ended().await
}

#[tokio::test]
async fn each_reason_not_to_start_has_its_code() {
    let house = House::new().await;
    let config = house.config().to_str().unwrap().to_owned();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let end = run(&house, &["--config", &config, "--listen", &address]).await;
    assert_eq!(end.code, Some(69), "{}", end.said);
    assert!(end.said.contains(&address) && end.said.contains("in use"), "{}", end.said);

    let end = run(&house, &["--config", "/nowhere/at-all.toml"]).await;
    assert_eq!(end.code, Some(66), "{}", end.said);
    assert!(end.said.contains("/nowhere/at-all.toml"), "{}", end.said);

    std::fs::write(house.config(), "[server]\nlisten = 7\nlisen = \"x\"\n").unwrap();
    for arguments in [["run", "--config", &config].as_slice(), &["check", &config]] {
        let end = run(&house, arguments).await;
        assert_eq!(end.code, Some(78), "{}", end.said);
        assert!(end.said.contains("lisen") && end.said.contains("listen"), "all mistakes: {}", end.said);
    }
    assert_eq!(run(&house, &["--no-such-thing"]).await.code, Some(2));
    let end = run(&house, &["--listen", "0.0.0.0:0"]).await;
    assert_eq!(end.code, Some(2));
    assert!(end.said.contains("allow_remote"), "{}", end.said);
}

#[tokio::test]
async fn a_second_program_on_the_same_state_is_refused() {
    let house = House::new().await;
    let first = house.start().await;
    let config = house.config().to_str().unwrap().to_owned();
    let end = run(&house, &["--config", &config, "--listen", "127.0.0.1:0"]).await;
    assert_eq!(end.code, Some(75), "{}", end.said);
    assert!(end.said.contains("in use by another process"), "{}", end.said);
    assert_eq!(first.health().await["status"], "pass", "the first goes on");
}

#[tokio::test]
async fn what_comes_with_the_program_is_well_formed() {
    let house = House::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let end = run(&house, &["check", path.to_str().unwrap()]).await;
        assert_eq!(end.code, Some(0), "{}", end.said);
        assert!(end.said.contains(": ok, ") && !end.said.contains(" 1 providers"), "{}", end.said);
        checked += 1;
    }
    assert!(checked >= 3, "{checked}");
    let end = run(&house, &["check"]).await;
    assert!(end.code == Some(0) && end.said.contains("what the environment"), "{}", end.said);
}

#[tokio::test]
async fn help_and_version_are_told_on_their_own() {
    let house = House::new().await;
    for arguments in [
        ["--help"].as_slice(),
        &["run", "--help"],
        &["check", "--help"],
        &["explain", "--help"],
        &["simulate", "--help"],
    ] {
        let end = run(&house, arguments).await;
        assert_eq!(end.code, Some(0), "{}", end.said);
        assert!(end.said.contains("Usage: tidegate"), "{}", end.said);
    }
    let end = run(&house, &["--version"]).await;
    assert_eq!((end.code, end.said), (Some(0), format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn without_any_configuration_it_serves_and_says_how_to_try_it() {
    let house = House::new().await;
    let state = house.state();
    let mut command = house.command(&["--listen", "127.0.0.1:0"]);
    command.env("STATE_DIRECTORY", &state);
    let mut program = Program::start(command).await;
    program.until_said("try: curl").await;
    assert_eq!(program.health().await["store"]["detail"], state.display().to_string());
}

#[tokio::test]
async fn a_gateway_on_a_socket_alone_says_how_to_reach_it() {
    let house = House::new().await;
    let socket = house.folder.path().join("gate.sock").display().to_string();
    let config = house.config().display().to_string();
    let listen = format!("unix:{socket}");
    let mut program = Program::spawn(house.command(&["--config", &config, "--listen", &listen]));
    program.until_said(&format!("try: curl --unix-socket '{socket}' http://localhost/v1/")).await;
    program.signal("TERM").await;
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_simulated_provider_counts_as_its_arguments_say() {
    let house = House::new().await;
    let arguments = "simulate --listen 127.0.0.1:0 --tokens-per-minute 0 --input-tokens-per-minute 900 \
                     --output-tokens-per-minute 800 --requests-per-day 70 --limit-headers anthropic --count-factor 1.3 \
                     --output-counts as_produced --cached-input false --gives-back --refused-count --untold-wait \
                     --requests-window second --tokens-window minute --day 90s";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let program = Program::start(house.command(&arguments)).await;
    let page: serde_json::Value = serde_json::from_str(&program.get("/control").await).unwrap();
    let limits = serde_json::json!({
        "requests_per_minute": 60, "requests_per_day": 70, "tokens_per_minute": null, "tokens_per_day": null,
        "input_tokens_per_minute": 900, "output_tokens_per_minute": 800, "concurrent": null,
    });
    let counting = serde_json::json!({
        "limit_headers": "anthropic", "tells_wait": false, "count_factor": 1.3, "output": "as_produced",
        "cached_input": false, "gives_back": true, "refused_count": true, "requests_window": "second",
        "tokens_window": "minute", "day": "1m30s",
    });
    assert_eq!((&page["limits"], &page["counting"]), (&limits, &counting));

    let wrong = Program::spawn(house.command(&["simulate", "--tokens-window", "weekly"])).ended().await;
    assert!(wrong.code == Some(2) && wrong.said.contains("weekly"), "{}", wrong.said);
    let wrong = Program::spawn(house.command(&["simulate", "--count-factor", "0"])).ended().await;
    assert!(wrong.code == Some(2) && wrong.said.contains("above 0"), "{}", wrong.said);
}
