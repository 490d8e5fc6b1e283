//! A provider's key appears nowhere but at the provider, whatever fails.

use crate::child::{House, Program};
use serde_json::json;
use std::path::Path;
use tidegate::secret::Secret;
use tidegate::simulator::{FailNext, SimulatorSettings};

const CANARY: &str = "sk-canary-7Zq3XvB9pLw";

/// The key, and the parts of it that stay the same wherever it stands in something that base64 holds.
const SPELLINGS: [&str; 4] =
    [CANARY, "c2stY2FuYXJ5LTdacTNYdkI5cEx3", "NrLWNhbmFyeS03WnEzWHZCOXBMd", "zay1jYW5hcnktN1pxM1h2QjlwTH"];

fn check(place: &str, bytes: &[u8]) {
    for spelling in SPELLINGS {
        let found =
            bytes.windows(spelling.len()).any(|window| window.eq_ignore_ascii_case(spelling.as_bytes()));
        assert!(!found, "the key is in {place}: {}", String::from_utf8_lossy(bytes));
    }
}

/// Every file below, by its bytes.
fn check_files(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            count += check_files(&path);
        } else {
            check(&path.display().to_string(), &std::fs::read(&path).expect("a readable file"));
            count += 1;
        }
    }
    count
}

/// Sends a call and looks at everything that comes back.
async fn call(program: &Program, model: &str, more: serde_json::Value) -> u16 {
    let answer = program.chat(model, more).send().await.expect("it answers");
    let status = answer.status().as_u16();
    check("the headers of an answer", format!("{:?}", answer.headers()).as_bytes());
    // A broken body has shown what it had.
    check("an answer", &answer.bytes().await.unwrap_or_default());
    status
}

/// Every way in which a call fails, one after the other.
async fn fail(house: &House, program: &Program) {
    assert_eq!(call(program, "sim", json!({})).await, 200);
    assert_eq!(call(program, "nobody's/own", json!({"max_tokens": -1})).await, 400);
    for status in [400, 401, 402, 403, 404, 500, 503] {
        let failure = FailNext::new(9, reqwest::StatusCode::from_u16(status).expect("a status"));
        house.provider.update(|faults| faults.fail_next = Some(failure));
        assert!(call(program, "sim", json!({})).await >= 400);
        house.provider.update(|faults| faults.fail_next = None);
    }
    house.provider.update(|faults| faults.cut_after_chunks = Some(2));
    call(program, "sim", json!({"stream": true})).await;
    let echo = program.get("/v1/echo?key=none").await;
    check("an echo", echo.as_bytes());
    house.kill_provider().await;
    assert!(call(program, "sim", json!({})).await >= 500);
}

#[tokio::test]
async fn a_key_is_in_no_log_no_page_no_answer_and_no_file() {
    let key = Some(Secret::new(CANARY.to_owned()));
    for (line, in_environment) in
        [(format!("api_key = \"{CANARY}\""), false), ("api_key = \"${CANARY}\"".into(), true)]
    {
        let house =
            House::with(SimulatorSettings { key: key.clone(), ..SimulatorSettings::unlimited() }).await;
        let quick = "[retry]\ndelay = \"1ms\"\ndelay_max = \"1ms\"\n[breaker]\nfailures = 1000\n[log]\nlevel = \"trace\"\n";
        house.configure(&line, quick);
        let config = house.config().to_str().unwrap().to_owned();
        let mut command = house.command(&["--config", &config, "--listen", "127.0.0.1:0"]);
        if in_environment {
            command.env("CANARY", CANARY);
        }
        let program = Program::start(command).await;
        fail(&house, &program).await;
        // A reload of a text that is wrong in the key's own line, and of one that is no TOML.
        for wrong in [
            format!("{line}\nbase_url = 7"),
            format!("api_key = \"{CANARY}"),
            format!("api_key = [\"{CANARY}\"]"),
        ] {
            std::fs::write(house.config(), format!("[provider.sim]\n{wrong}\n")).unwrap();
            program.signal("HUP").await;
            program.until("/health", |page| page.contains("reload_error")).await;
            check("/health", program.get("/health").await.as_bytes());
            house.configure(&line, quick);
            program.signal("HUP").await;
            program.until("/health", |page| !page.contains("reload_error")).await;
        }
        for page in ["/health", "/metrics", "/v1/models"] {
            check(page, program.get(page).await.as_bytes());
        }
        program.signal("TERM").await;
        let end = program.ended().await;
        assert_eq!(end.code, Some(0));
        assert!(end.said.contains("attempt failed"), "{}", end.said);
        check("what it said", end.said.as_bytes());
        assert!(check_files(&house.state()) > 1);
    }
}

#[tokio::test]
async fn a_key_in_a_configuration_that_is_wrong_is_not_shown() {
    let house = House::new().await;
    let config = house.config().to_str().unwrap().to_owned();
    for wrong in [
        format!("[provider.sim]\napi_key = \"{CANARY}\"\nbase_url = 7"),
        format!("[provider.sim]\napi_key = {CANARY}"),
        format!("[provider.sim]\napi_kee = \"{CANARY}\""),
        format!("[provider.sim]\napi_key_file = \"{CANARY}\""),
        format!("[provider.sim]\napi_key_command = \"echo {CANARY}; exit 3\""),
        format!("[provider.sim]\nbase_url = \"http://user:{CANARY}@localhost/v1\""),
        format!("[provider.sim]\nbase_url = \"http://localhost/v1?key={CANARY}\""),
    ] {
        std::fs::write(house.config(), &wrong).unwrap();
        for arguments in [["check", &config].as_slice(), &["run", "--config", &config]] {
            let end = Program::spawn(house.command(arguments)).ended().await;
            assert_eq!(end.code, Some(78), "{wrong}: {}", end.said);
            check(&format!("the report of {wrong:?}"), end.said.as_bytes());
        }
    }
}
