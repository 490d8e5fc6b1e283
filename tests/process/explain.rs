//! `tidegate explain`: what a person reads who asks why a request waited.

use crate::child::{End, House, Program};
use serde_json::{Value, json};

async fn run(house: &House, arguments: &[&str]) -> End {
    Program::spawn(house.command(arguments)).ended().await
}

#[tokio::test]
async fn a_request_is_explained_by_the_gateway_that_served_it() {
    let house = House::new().await;
    let socket = house.folder.path().join("gate.sock").display().to_string();
    house.configure("limits = { concurrent = 1 }", &format!("[server]\nlisten = [\"unix:{socket}\"]"));
    let config = house.config().display().to_string();
    let program = house.start().await;
    for id in ["first", "odd/id?"] {
        let answer = program.chat("sim", json!({"max_tokens": 5})).header("x-request-id", id).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    let url = ["--url", &program.base];
    let end = run(&house, &["explain", "first", url[0], url[1]]).await;
    assert_eq!(end.code, Some(0), "{}", end.said);
    for part in [
        "first\n",
        "asked      chat, model sim, priority normal",
        "plan       sim/sim",
        "room at sim/sim",
        "sent to sim/sim (attempt 1)",
        "the answer begins: 200",
        "the answer is complete: ",
        "5 out), as the provider counts",
        "complete, after ",
        "1 attempt",
    ] {
        assert!(end.said.contains(part), "{part}: {}", end.said);
    }
    let end = run(&house, &["explain", "odd/id?", "--json", url[0], url[1]]).await;
    let story: Value = serde_json::from_str(&end.said).expect("JSON and nothing else");
    assert_eq!((&story["id"], &story["state"]), (&json!("odd/id?"), &json!("complete")));
    let end = run(&house, &["explain", url[0], url[1]]).await;
    assert!(
        end.code == Some(0) && end.said.contains("odd/id?") && end.said.contains("first"),
        "{}",
        end.said
    );

    let end = run(&house, &["explain", "never", url[0], url[1]]).await;
    assert_eq!(end.code, Some(66), "{}", end.said);
    assert!(end.said.contains("No exchange of this id") && end.said.contains("10000"), "{}", end.said);

    // The configuration names another address than the one on which it was told to listen.
    let end = run(&house, &["explain", "first", "--config", &config]).await;
    assert_eq!(end.code, Some(69), "{}", end.said);
    assert!(end.said.contains(&format!("unix:{socket}")) && end.said.contains("--url"), "{}", end.said);
    let end = run(&house, &["explain", "first", "--url", "https://elsewhere"]).await;
    assert_eq!(end.code, Some(2), "{}", end.said);
    let strange = format!("{}/v1/models?x=", program.base);
    let end = run(&house, &["explain", "--url", &strange]).await;
    assert_eq!(end.code, Some(69), "{}", end.said);
}

#[tokio::test]
async fn the_configuration_tells_where_to_ask_whatever_else_is_wrong_with_it() {
    let house = House::new().await;
    let socket = house.folder.path().join("gate.sock").display().to_string();
    house.configure("", &format!("[server]\nlisten = [\"unix:{socket}\"]"));
    let config = house.config().display().to_string();
    let mut program = Program::spawn(house.command(&["--config", &config]));
    program.until_said("listening on unix:").await;
    house.configure("api_key_file = \"/nowhere\"", &format!("[server]\nlisten = [\"unix:{socket}\"]"));
    let end = run(&house, &["explain", "--config", &config]).await;
    assert_eq!((end.code, end.said.as_str()), (Some(0), "no exchange yet\n"));
    let end = run(&house, &["explain", "x", "--config", "/nowhere/at-all.toml"]).await;
    assert_eq!(end.code, Some(66), "{}", end.said);
    program.signal("TERM").await;
    assert_eq!(program.ended().await.code, Some(0));
}
