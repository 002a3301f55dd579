use std::fs;
use std::io::pipe;

use crate::support::{Setup, run};
use rockset_apikeys_server::Fault;

/// Creates a key whose value goes to this sink, and returns the value.
fn create(setup: &Setup, sink: &str) -> String {
    let out = setup.run(&["create", "a", "--out", sink]).done();
    let value = setup.value("a");
    assert!(!out.contains(&value), "{out}");
    value
}

#[cfg(unix)]
fn mode(setup: &Setup, name: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(setup.path(name)).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn a_file_has_the_value_alone_and_its_owner_alone_can_read_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let setup = Setup::new();
    let path = setup.write("key", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    symlink("key", setup.path("link")).unwrap();
    assert_eq!(create(&setup, "file:link"), setup.read("key"));
    assert_eq!(mode(&setup, "key"), 0o600);
    assert!(fs::symlink_metadata(setup.path("link")).unwrap().is_symlink());
}

#[cfg(unix)]
#[test]
fn a_dotenv_file_keeps_all_other_bytes_and_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let old = b"# KEY=x\r\nOTHER=\xff\nexport  KEY = 'old one' # old\r\nKEYS=1\nLAST=\"KEY=\"";
    let path = setup.write(".env", old);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let value = create(&setup, "env:.env#KEY");
    let new =
        [b"# KEY=x\r\nOTHER=\xff\nexport  KEY =", value.as_bytes(), b"\r\nKEYS=1\nLAST=\"KEY=\""]
            .concat();
    assert_eq!(fs::read(&path).unwrap(), new);
    assert_eq!(mode(&setup, ".env"), 0o640);

    setup.run(&["reveal", "a", "--out", "env:.env#NEW"]).done();
    assert_eq!(
        fs::read(&path).unwrap(),
        [&new[..], format!("\nNEW={value}\n").as_bytes()].concat()
    );
    setup.run(&["reveal", "a", "--out", "env:fresh#NEW"]).done();
    assert_eq!(setup.read("fresh"), format!("NEW={value}\n"));
    assert_eq!(mode(&setup, "fresh"), 0o600);
}

#[test]
fn a_profile_gets_the_key_and_the_others_stay() {
    let setup = Setup::new();
    create(&setup, "profile:new");
    let who = run(setup.bare().args(["whoami", "--format", "json"])).json();
    assert_eq!((&who["name"], &who["key_source"]), (&"a".into(), &"profile new".into()));
    setup.run(&["create", "b", "--out", "profile:other"]).done();
    for (profile, name) in [("new", "a"), ("other", "b")] {
        let mut command = setup.bare();
        let who = run(command.args(["--profile", profile, "whoami", "--format", "json"])).json();
        assert_eq!(who["name"], name);
    }
    #[cfg(unix)]
    assert_eq!(mode(&setup, ".config/rockset/config.yaml"), 0o600);
}

#[cfg(unix)]
#[test]
fn a_command_gets_the_value_on_standard_input_and_its_output_is_no_data() {
    let setup = Setup::new();
    let created =
        setup.run(&["create", "a", "--out", "exec:cat > got; echo hello", "--format", "json"]);
    assert!(created.stderr.contains("hello"), "{created:?}");
    assert_eq!(created.json()["name"], "a");
    assert_eq!(setup.read("got"), setup.value("a"));
}

#[test]
fn a_sink_that_cannot_be_written_is_found_before_anything_is_created() {
    let setup = Setup::new();
    setup.write("twice", "KEY=1\nKEY=2\n");
    setup.write("long", "KEY=\"1\n2\"\n");
    fs::create_dir(setup.path("folder")).unwrap();
    for (sink, text) in [
        ("file:missing/key", "missing"),
        ("file:folder", "not a file"),
        ("env:twice#KEY", "more than once"),
        ("env:long#KEY", "more than one line"),
    ] {
        setup.run(&["create", "a", "--out", "file:first", "--out", sink]).failed(1, text);
    }
    setup.write(".config/rockset/config.yaml", "keys: 1\n");
    setup.run(&["create", "a", "--out", "profile:x"]).failed(2, "keys");
    for sink in ["nothing", "file:", "env:x", "env:x#1A", "exec: ", "s3:bucket"] {
        setup.run(&["create", "a", "--out", sink]).failed(2, "--out");
    }
    assert_eq!(setup.names(), ["initial"]);
    assert!(!setup.path("first").exists());
}

#[cfg(unix)]
#[test]
fn a_create_whose_value_is_not_delivered_is_taken_back() {
    let setup = Setup::new();
    setup.write("old", "old");
    let sinks = ["--out", "file:old", "--out", "file:new", "--out", "exec:exit 3"];
    let arguments = [&["create", "a"], &sinks[..]].concat();
    setup.run(&arguments).failed(1, "deleted again");
    assert_eq!(setup.read("old"), "old");
    assert!(!setup.path("new").exists());
    assert_eq!(setup.names(), ["initial"]);

    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let status = setup.program().args(["create", "a", "--out", "-"]).stdout(writer).output();
    assert_eq!(status.unwrap().status.code(), Some(1));
    assert_eq!(setup.names(), ["initial"]);

    let sinks = ["--out", "exec:cat > got", "--out", "exec:exit 3"];
    setup.run(&[&["create", "a"], &sinks[..]].concat()).failed(1, "cannot be undone");
    assert_eq!(setup.names(), ["initial"]);

    // Ctrl-C while a command runs: the program gets it too, and still deletes the key.
    let arguments = ["create", "a", "--out", "exec:kill -INT $PPID; exit 1"];
    setup.run(&arguments).failed(1, "deleted again");
    assert_eq!(setup.names(), ["initial"]);

    // The create succeeds, and no later request does.
    setup.server.inject(Fault::delay(std::time::Duration::ZERO), 1);
    setup.server.inject(Fault::status(400), 1);
    setup.run(&["create", "a", "--out", "exec:exit 3"]).failed(8, "next: rockset-apikeys delete a");
    assert_eq!(setup.names(), ["initial", "a"]);
}
