use std::fs;
use std::io::pipe;

use crate::support::{Setup, run};
use rockset_apikeys_server::Fault;

/// Creates a key whose value is written to a destination, and returns the value.
fn create(setup: &Setup, destination: &str) -> String {
    let out = setup.run(&["create", "a", "--out", destination]).done();
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
fn file_contains_only_value_and_is_private() {
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
fn dotenv_file_keeps_other_bytes_and_mode() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let old = b"# KEY=x\r\nOTHER=\xff\nexport  KEY = 'old one' # old\r\nKEYS=1\nLAST=\"KEY=\"";
    let path = setup.write(".env", old);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let value = create(&setup, "dotenv:.env#KEY");
    let new =
        [b"# KEY=x\r\nOTHER=\xff\nexport  KEY =", value.as_bytes(), b"\r\nKEYS=1\nLAST=\"KEY=\""]
            .concat();
    assert_eq!(fs::read(&path).unwrap(), new);
    assert_eq!(mode(&setup, ".env"), 0o640);

    setup.run(&["reveal", "a", "--out", "dotenv:.env#NEW"]).done();
    assert_eq!(
        fs::read(&path).unwrap(),
        [&new[..], format!("\nNEW={value}\n").as_bytes()].concat()
    );
    setup.run(&["reveal", "a", "--out", "dotenv:fresh#NEW"]).done();
    assert_eq!(setup.read("fresh"), format!("NEW={value}\n"));
    assert_eq!(mode(&setup, "fresh"), 0o600);
}

#[test]
fn profile_is_added_and_others_are_kept() {
    let setup = Setup::new();
    create(&setup, "profile:new");
    let who = run(setup.bare().args(["whoami", "--format", "json"])).json();
    let file = setup.path(".config/rockset/config.yaml");
    let source = format!("`keys.new.apikey` in {}", file.display());
    assert_eq!((&who["name"], &who["key_source"]), (&"a".into(), &source.into()));
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
fn command_reads_value_from_stdin_and_prints_to_stderr() {
    let setup = Setup::new();
    let created =
        setup.run(&["create", "a", "--out", "exec:cat > got; echo hello", "--format", "json"]);
    assert!(created.stderr.contains("hello"), "{created:?}");
    assert_eq!(created.json()["name"], "a");
    assert_eq!(setup.read("got"), setup.value("a"));
}

#[test]
fn unwritable_destination_fails_before_create() {
    let setup = Setup::new();
    setup.write("twice", "KEY=1\nKEY=2\n");
    setup.write("long", "KEY=\"1\n2\"\n");
    fs::create_dir(setup.path("directory")).unwrap();
    for (destination, text) in [
        ("file:missing/key", "missing"),
        ("file:directory", "not a file"),
        ("dotenv:twice#KEY", "more than once"),
        ("dotenv:long#KEY", "more than one line"),
    ] {
        setup.run(&["create", "a", "--out", "file:first", "--out", destination]).failed(1, text);
    }
    setup.write(".config/rockset/config.yaml", "keys: 1\n");
    setup.run(&["create", "a", "--out", "profile:x"]).failed(2, "keys");
    for destination in ["nothing", "file:", "dotenv:x", "dotenv:x#1A", "exec: ", "s3:bucket"] {
        setup.run(&["create", "a", "--out", destination]).failed(2, "--out");
    }
    assert_eq!(setup.names(), ["initial"]);
    assert!(!setup.path("first").exists());
}

#[cfg(unix)]
#[test]
fn failed_delivery_deletes_the_new_key() {
    let setup = Setup::new();
    setup.write("old", "old");
    let destinations = ["--out", "file:old", "--out", "file:new", "--out", "exec:exit 3"];
    let arguments = [&["create", "a"], &destinations[..]].concat();
    setup.run(&arguments).failed(1, "the new key was deleted");
    assert_eq!(setup.read("old"), "old");
    assert!(!setup.path("new").exists());
    assert_eq!(setup.names(), ["initial"]);

    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let status = setup.program().args(["create", "a", "--out", "-"]).stdout(writer).output();
    assert_eq!(status.unwrap().status.code(), Some(1));
    assert_eq!(setup.names(), ["initial"]);

    let destinations = ["--out", "exec:cat > got", "--out", "exec:exit 3"];
    setup.run(&[&["create", "a"], &destinations[..]].concat()).failed(1, "cannot be undone");
    assert_eq!(setup.names(), ["initial"]);

    // Ctrl-C reaches the program as well as the command, and the key is still deleted.
    let arguments = ["create", "a", "--out", "exec:kill -INT $PPID; exit 1"];
    setup.run(&arguments).failed(1, "the new key was deleted");
    assert_eq!(setup.names(), ["initial"]);

    // The create succeeds, but the delete fails.
    setup.server.inject(Fault::delay(std::time::Duration::ZERO), 1);
    setup.server.inject(Fault::status(400), 1);
    setup.run(&["create", "a", "--out", "exec:exit 3"]).failed(8, "next: rockset-apikeys delete a");
    assert_eq!(setup.names(), ["initial", "a"]);
}
