//! Help, versions, and complaints about the command line.

use crate::support::Home;

#[tokio::test]
async fn the_program_alone_and_every_way_to_ask_for_help_is_help() {
    let home = Home::new();
    let bare = home.run(&[]).await;
    assert_eq!((bare.code, &*bare.err), (0, ""));
    for section in [
        "NAME:\n  micro - A microservice toolkit",
        "USAGE:\n",
        "VERSION:\n",
        "COMMANDS:\n",
        "GLOBAL OPTIONS:\n",
    ] {
        assert!(bare.out.contains(section), "{section}: {}", bare.out);
    }
    assert_eq!(home.run(&["-h"]).await, bare);
    let long = home.run(&["--help"]).await;
    for arguments in [&["help"][..], &["-help"]] {
        assert_eq!(home.run(arguments).await, long, "{arguments:?}");
    }
    // The short form is for getting around, the long one has everything.
    assert!(!bare.out.contains("--register_ttl") && long.out.contains("--register_ttl"), "{}", long.out);
    let call = home.run(&["call", "-h"]).await;
    assert!(call.out.contains("--metadata") && !call.out.contains("--register_ttl"), "{}", call.out);
    assert_eq!(home.run(&["help", "call"]).await.out, home.run(&["call", "--help"]).await.out);
}

#[tokio::test]
async fn every_flag_with_a_variable_names_it_and_hides_its_value() {
    let home = Home::new();
    let mut command = home.command(&["--help"]);
    command.env("MICRO_REGISTRY_OPT", "password=hunter2");
    let help = String::from_utf8(command.output().await.expect("it starts").stdout).expect("UTF-8");
    for variable in
        ["MICRO_REGISTRY", "MICRO_REGISTRY_ADDRESS", "MICRO_API_ADDRESS", "MICRO_API_HANDLER", "MICRO_OUTPUT"]
    {
        assert!(help.contains(&format!("[env: {variable}]")), "{variable}: {help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}

#[tokio::test]
async fn groups_alone_are_their_help() {
    let home = Home::new();
    for (group, inside) in [
        ("list", "services"),
        ("get", "service"),
        ("register", "service"),
        ("deregister", "service"),
        ("plugin", "inspect"),
    ] {
        let bare = home.run(&[group]).await;
        assert_eq!((bare.code, &*bare.err), (0, ""), "{group}");
        assert!(bare.out.contains(inside) && bare.out.contains(&format!("micro {group}")), "{}", bare.out);
    }
}

#[tokio::test]
async fn versions() {
    let home = Home::new();
    for arguments in [&["--version"][..], &["-v"], &["-version"]] {
        home.run(arguments).await.is("micro version 0.1.0\n");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_an_error() {
    let home = Home::new();
    let unknown = home.run(&["frobnicate"]).await;
    unknown.complains(&["Unrecognized micro command: frobnicate. Please refer to 'micro --help'"]);
    home.run(&["lst"]).await.complains(&["Unrecognized micro command: lst", "did you mean list?"]);
    home.run(&["list", "servces"]).await.complains(&["did you mean services?"]);
    home.run(&["list", "services", "--registri=x"]).await.complains(&["--registri", "--registry"]);
    home.run(&["--client_request_timeout=soon", "list", "services"]).await.complains(&["500ms, 5s or 1m30s"]);
    home.run(&["--output=xml", "list", "services"]).await.complains(&["text", "json"]);
    home.run(&["--output=raw", "list", "services"]).await.complains(&["for micro call"]);
    home.run(&["--log_level=a=b=c", "list", "services"]).await.complains(&["log_level"]);
}

#[tokio::test]
async fn completion_scripts_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completion", shell]).await;
        assert_eq!(script.code, 0);
        assert!(script.out.contains("deregister"), "{shell}");
    }
    home.run(&["completion", "dos"]).await.complains(&["bash"]);
}
