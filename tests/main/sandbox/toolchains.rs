//! Toolchains of this machine, found and used in a sandbox without a network; and machines
//! made of files, for what this one lacks.

use crate::sandbox::lab::Lab;
use crate::support::Home;
use crate::support::pytest_venv;
use crate::support::require;
use regreen::model::HostEnv;
use regreen::sandbox::toolchain;
use regreen::sandbox::toolchain::Toolchains;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;

fn lab() -> (Home, Lab) {
    let home = Home::new();
    let lab = Lab::new().with_toolchains(&home);
    (home, lab)
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("below the directory")).expect("ours");
    std::fs::write(path, text).expect("ours");
}

fn program(dir: &Path, name: &str) {
    write(dir, name, "#!/bin/sh\n");
    std::fs::set_permissions(dir.join(name), PermissionsExt::from_mode(0o755)).expect("ours");
}

#[tokio::test]
async fn cargo_test_runs_offline() {
    if !require("bwrap") {
        return;
    }
    let (_home, lab) = lab();
    write(
        &lab.tree(),
        "Cargo.toml",
        "[package]\nname = \"a\"\nedition = \"2021\"\n",
    );
    write(
        &lab.tree(),
        "src/lib.rs",
        "#[test]\nfn t() { assert_eq!(1, 1) }\n",
    );
    let seen = lab.run(lab.spec_with_toolchains(["cargo", "test"])).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    assert!(seen.stdout.contains("test t ... ok"), "{seen:?}");
}

/// cargo past rustup's proxy finds the same rustc and what the proxied one has built.
#[tokio::test]
async fn the_resolved_cargo_and_the_proxied_one_agree() {
    if !require("bwrap") {
        return;
    }
    let (_home, lab) = lab();
    write(
        &lab.tree(),
        "Cargo.toml",
        "[package]\nname = \"a\"\nedition = \"2021\"\n",
    );
    write(&lab.tree(), "src/lib.rs", "");
    let toolchains = toolchain::discover(&lab.host, &lab.root());
    let cargo = toolchains.program("cargo").expect("cargo is here");
    let seen = lab.run(lab.spec_with_toolchains(["cargo", "build"])).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    let direct = cargo.path.display().to_string();
    let seen = lab
        .run(lab.spec_with_toolchains([&*direct, "build", "-v"]))
        .await;
    assert!(seen.stderr.contains("Fresh a"), "{seen:?}");
}

/// A crate that is downloaded but not unpacked works; one that is unpacked is linked; neither
/// changes anything of the user's.
#[tokio::test]
async fn dependencies_come_from_the_users_downloads() {
    if !require("bwrap") {
        return;
    }
    let (_home, lab) = lab();
    let real = lab.host.var("CARGO_HOME").expect("set by the tests");
    let Some((name, version)) = a_downloaded_crate(Path::new(real)) else {
        crate::support::say("SKIPPED: no crate of this machine's downloads can be used");
        return;
    };
    // A cargo home with the real downloads, and nothing unpacked.
    let own = lab.top().join("cargo-home");
    std::fs::create_dir_all(&own).expect("ours");
    let copied = crate::support::command("cp")
        .args(["-a", "--parents", "registry/index", "registry/cache"])
        .arg(&own)
        .current_dir(real)
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let mut lab = lab;
    lab.host
        .vars
        .insert("CARGO_HOME".into(), own.clone().into());
    let manifest = format!(
        "[package]\nname = \"a\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n"
    );
    write(&lab.tree(), "Cargo.toml", &manifest);
    write(&lab.tree(), "src/lib.rs", "");
    let fetch = ["cargo", "metadata", "--offline", "--format-version=1"];
    let seen = lab.run(lab.spec_with_toolchains(fetch)).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    assert!(
        !own.join("registry/src").exists(),
        "the user's home is untouched"
    );
    // Now the user has unpacked it: the slot links to it.
    let unpacked = lab.top().join("slot/home/.regreen/cargo/registry");
    let status = crate::support::command("cp")
        .arg("-a")
        .arg(unpacked.join("src"))
        .arg(own.join("registry"))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "it was unpacked in the slot"
    );
    std::fs::remove_dir_all(unpacked.join("src")).expect("ours");
    let seen = lab.run(lab.spec_with_toolchains(fetch)).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    let index = std::fs::read_dir(unpacked.join("src"))
        .expect("seeded")
        .next();
    let index = index.expect("one index").expect("readable").path();
    let linked = index.join(format!("{name}-{version}"));
    assert!(linked.is_symlink(), "{}", linked.display());
    // What the user removes is unlinked, so that cargo can unpack it again.
    let user = own
        .join("registry/src")
        .join(index.file_name().expect("named"));
    std::fs::remove_dir_all(user.join(format!("{name}-{version}"))).expect("ours");
    let seen = lab.run(lab.spec_with_toolchains(fetch)).await;
    assert_eq!(seen.code(), Some(0), "{seen:?}");
    assert!(linked.is_dir() && !linked.is_symlink());
}

/// A crate without dependencies of its own among the downloads: `cfg-if`, `itoa` and the like
/// are in nearly every cargo home.
fn a_downloaded_crate(cargo_home: &Path) -> Option<(String, String)> {
    let index = std::fs::read_dir(cargo_home.join("registry/cache"))
        .ok()?
        .next()?
        .ok()?;
    let mut names: Vec<String> = std::fs::read_dir(index.path())
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names.iter().find_map(|file| {
        let (name, version) = file.strip_suffix(".crate")?.rsplit_once('-')?;
        let simple = ["itoa", "cfg-if", "scopeguard", "fnv"].contains(&name);
        simple.then(|| (name.to_owned(), version.to_owned()))
    })
}

#[tokio::test]
async fn pytest_runs_offline() {
    if !require("bwrap") || !require("pytest") {
        return;
    }
    let (_home, lab) = lab();
    write(
        &lab.tree(),
        "test_a.py",
        "def test_a():\n    assert 1 == 1\n",
    );
    for argv in [&["python", "-m", "pytest", "-q"][..], &["pytest", "-q"]] {
        let seen = lab
            .run(lab.spec_with_toolchains(argv.iter().copied()))
            .await;
        assert_eq!(seen.code(), Some(0), "{seen:?}");
        assert!(seen.stdout.contains("1 passed"), "{seen:?}");
    }
    let toolchains = toolchain::discover(&lab.host, &lab.root());
    let python = toolchains.program("python").expect("found");
    assert!(
        python
            .version
            .as_deref()
            .is_some_and(|version| version.starts_with("3."))
    );
    let venv = pytest_venv().expect("required above");
    assert_eq!(python.path, venv.join("bin/python"));
}

/// A machine made of files: home, project, and whatever a test puts there.
struct Files {
    dir: tempfile::TempDir,
    host: HostEnv,
}

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let top = dir.path().canonicalize().expect("it was just made");
        let host = HostEnv::below(&top, "/usr/bin:/bin");
        std::fs::create_dir_all(host.home.join("project")).expect("ours");
        Files { dir, host }
    }

    fn home(&self) -> &Path {
        &self.host.home
    }

    fn project(&self) -> std::path::PathBuf {
        self.home().join("project")
    }

    fn set(&mut self, name: &str, value: &Path) {
        self.host.vars.insert(name.into(), value.into());
    }

    fn path_first(&mut self, dir: &Path) {
        let rest = self.host.path.clone();
        let mut all = vec![dir.to_owned()];
        all.extend(std::env::split_paths(&rest));
        self.host.path = std::env::join_paths(all).expect("plain paths");
    }

    fn discover(&self) -> Toolchains {
        toolchain::discover(&self.host, &self.project())
    }

    fn rustup(&self, toolchains: &[&str], default: &str) {
        for name in toolchains {
            program(self.home(), &format!(".rustup/toolchains/{name}/bin/cargo"));
            program(self.home(), &format!(".rustup/toolchains/{name}/bin/rustc"));
        }
        let settings = format!("default_toolchain = \"{default}\"\n[overrides]\n");
        write(self.home(), ".rustup/settings.toml", &settings);
    }
}

fn targets(toolchains: &Toolchains) -> Vec<String> {
    let exposed = toolchains.exposed.iter();
    exposed
        // This machine's own gems, whatever the machine made of files holds.
        .filter(|exposed| exposed.mount.target != Path::new("/var/lib/gems"))
        .map(|exposed| exposed.mount.target.display().to_string())
        .collect()
}

fn triple(channel: &str) -> String {
    format!("{channel}-{}-unknown-linux-gnu", std::env::consts::ARCH)
}

#[test]
fn a_pinned_toolchain_is_taken_and_a_missing_one_is_named() {
    let files = Files::new();
    let (stable, old) = (triple("stable"), triple("1.70"));
    files.rustup(&[&stable, &old], &stable);
    let found = files.discover();
    assert_eq!(found.var("RUSTUP_TOOLCHAIN"), Some(&*stable));
    let cargo = found.program("cargo").expect("found");
    assert!(cargo.path.ends_with(format!("{stable}/bin/cargo")));
    write(
        &files.project(),
        "rust-toolchain.toml",
        "[toolchain]\nchannel = \"1.70\"\n",
    );
    let found = files.discover();
    assert_eq!(found.var("RUSTUP_TOOLCHAIN"), Some(&*old));
    write(
        &files.project(),
        "rust-toolchain.toml",
        "[toolchain]\nchannel = \"1.1\"\n",
    );
    let found = files.discover();
    assert_eq!(found.var("RUSTUP_TOOLCHAIN"), Some("1.1"));
    assert!(
        found.program("cargo").is_none(),
        "no other one may answer for it"
    );
    let note = found.notes.first().expect("a note");
    assert_eq!(note.code, "toolchain_missing");
    assert_eq!(
        note.remedy.as_deref(),
        Some("run `rustup toolchain install 1.1`")
    );
}

/// What a hostile project writes into the files that name toolchains opens nothing.
#[test]
fn a_project_cannot_name_what_is_mounted() {
    let mut files = Files::new();
    let stable = triple("stable");
    files.rustup(&[&stable], &stable);
    for secret in [".ssh/id_rsa", ".aws/credentials", ".config/tool/token"] {
        write(files.home(), secret, "secret");
    }
    let ssh = files.home().join(".ssh");
    let project = files.project();
    write(
        &project,
        "rust-toolchain.toml",
        &format!("[toolchain]\npath = \"{}\"\n", ssh.display()),
    );
    // A directory of secrets that happens to hold something called python.
    program(files.home(), ".config/tool/bin/python3");
    write(files.home(), ".config/tool/lib/python/readme", "no library");
    let tool = files.home().join(".config/tool/bin");
    let config = format!("home = {}\nversion = 3.11\n", tool.display());
    write(&project, ".venv/pyvenv.cfg", &config);
    std::fs::create_dir_all(project.join(".venv/bin")).expect("ours");
    symlink(tool.join("python3"), project.join(".venv/bin/python")).expect("ours");
    symlink(ssh.join("id_rsa"), project.join(".venv/bin/python3")).expect("ours");
    write(&project, ".python-version", "../../.ssh\n");
    write(files.home(), ".pyenv/versions/3.11.7/bin/python3", "");
    write(files.home(), ".pyenv/version", "3.11.7\n");
    let shims = files.home().join(".pyenv/shims");
    std::fs::create_dir_all(&shims).expect("ours");
    files.path_first(&shims);
    program(&project, "bin/cargo");
    let evil = project.join("bin");
    files.path_first(&evil);
    let found = files.discover();
    let home = files.home().display().to_string();
    let shown = targets(&found);
    for target in &shown {
        let relative = target.strip_prefix(&home).unwrap_or(target);
        let known = ["/.rustup", "/.pyenv/versions/3.11.7"].iter();
        assert!(
            known.clone().any(|known| relative.starts_with(known)),
            "{shown:?}"
        );
    }
    assert_eq!(found.var("RUSTUP_TOOLCHAIN"), Some(&*stable));
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.code == "untrusted_toolchain")
    );
    let path = found.var("PATH").expect("set");
    assert!(
        !path.contains("project/bin") && !path.contains("shims"),
        "{path}"
    );
    drop(files.dir);
}

#[test]
fn pyenvs_shims_give_way_to_the_version() {
    let mut files = Files::new();
    for version in ["3.11.2", "3.11.10", "3.12.1"] {
        program(
            files.home(),
            &format!(".pyenv/versions/{version}/bin/python3"),
        );
        write(
            files.home(),
            &format!(".pyenv/versions/{version}/lib/python3/os.py"),
            "",
        );
    }
    program(files.home(), ".pyenv/shims/python3");
    write(files.home(), ".pyenv/version", "3.12.1\n");
    let shims = files.home().join(".pyenv/shims");
    files.path_first(&shims);
    let python = |files: &Files| {
        let found = files.discover();
        found.program("python3").expect("found").path.clone()
    };
    let versions = files.home().join(".pyenv/versions");
    assert_eq!(python(&files), versions.join("3.12.1/bin/python3"));
    write(
        &files.project(),
        ".python-version",
        "3.11  # the newest one\n",
    );
    assert_eq!(python(&files), versions.join("3.11.10/bin/python3"));
    write(&files.project(), ".python-version", "3.9.9\n");
    let found = files.discover();
    let note = found.notes.first().expect("a note");
    assert_eq!(note.remedy.as_deref(), Some("run `pyenv install 3.9.9`"));
}

/// The chain uv makes: environment → a link by minor version → the installation.
#[test]
fn every_link_on_the_way_to_an_interpreter_is_there() {
    let files = Files::new();
    let store = files.home().join(".local/share/uv/python");
    program(&store, "cpython-3.12.1/bin/python3.12");
    write(&store, "cpython-3.12.1/lib/python3.12/os.py", "");
    symlink("cpython-3.12.1", store.join("cpython-3.12")).expect("ours");
    let venv = files.project().join(".venv");
    let home = store.join("cpython-3.12/bin");
    write(&venv, "pyvenv.cfg", &format!("home = {}\n", home.display()));
    std::fs::create_dir(venv.join("bin")).expect("ours");
    symlink(home.join("python3.12"), venv.join("bin/python")).expect("ours");
    let found = files.discover();
    let shown = targets(&found);
    for name in ["cpython-3.12", "cpython-3.12.1"] {
        assert!(
            shown.contains(&store.join(name).display().to_string()),
            "{shown:?}"
        );
    }
    assert_eq!(found.var("VIRTUAL_ENV"), venv.to_str());
    let path = found.var("PATH").expect("set");
    assert!(
        path.starts_with(venv.join("bin").to_str().expect("UTF-8")),
        "{path}"
    );
}

/// A program of pipx's: a link in `~/.local/bin` to an environment elsewhere.
#[test]
fn linked_programs_bring_what_they_lie_in_and_nothing_more() {
    let mut files = Files::new();
    let venv = files.home().join(".local/share/pipx/venvs/pytest");
    program(&venv, "bin/pytest");
    program(&venv, "bin/python");
    write(&venv, "pyvenv.cfg", "version = 3.12.1\n");
    write(files.home(), ".local/share/keyrings/secret", "secret");
    let bin = files.home().join(".local/bin");
    std::fs::create_dir_all(&bin).expect("ours");
    symlink(venv.join("bin/pytest"), bin.join("pytest")).expect("ours");
    files.path_first(&bin);
    let home = files.home().to_owned();
    files.path_first(&home);
    let shown = targets(&files.discover());
    assert_eq!(shown, [&bin, &venv].map(|path| path.display().to_string()));
}

/// Credentials of cargo never come along, whatever its home holds.
#[tokio::test]
async fn cargos_credentials_stay_outside() {
    if !require("bwrap") {
        return;
    }
    let (_home, mut lab) = lab();
    let cargo = lab.host.home.join(".cargo");
    write(
        &cargo,
        "credentials.toml",
        "[registry]\ntoken = \"s3cret\"\n",
    );
    write(&cargo, "credentials", "[registry]\ntoken = \"s3cret\"\n");
    write(
        &cargo,
        "config.toml",
        "[registry]\ntoken = \"s3cret\"\n[build]\njobs = 3\n",
    );
    write(&cargo, "registry/cache/x/y.crate", "crate");
    lab.host.vars.insert("CARGO_HOME".into(), cargo.into());
    let script = "cd ~/.cargo && cat config.toml; cat registry/cache/x/y.crate; ls; \
                  grep -r s3cret . ; touch config.toml registry/cache/new mine";
    let seen = lab
        .run(lab.spec_with_toolchains(["sh", "-c", script]))
        .await;
    assert!(
        seen.stdout.contains("jobs = 3") && seen.stdout.contains("crate"),
        "{seen:?}"
    );
    assert!(
        !seen.stdout.contains("s3cret") && !seen.stdout.contains("credentials"),
        "{seen:?}"
    );
    assert_eq!(
        seen.stderr.matches("Read-only file system").count(),
        2,
        "{seen:?}"
    );
    let mine = lab.top().join("slot/home/.cargo/mine");
    assert!(mine.exists(), "the rest is the slot's own");
}

#[test]
fn a_variable_names_the_toolchain_first() {
    let mut files = Files::new();
    let (stable, nightly) = (triple("stable"), triple("nightly"));
    files.rustup(&[&stable, &nightly], &stable);
    files.set("RUSTUP_TOOLCHAIN", Path::new("nightly"));
    let found = files.discover();
    assert_eq!(found.var("RUSTUP_TOOLCHAIN"), Some(&*nightly));
    let lines = found.describe().join("\n");
    assert!(lines.contains("/.rustup  rustup's toolchains"), "{lines}");
}

/// Dependencies of other languages are there, and the secrets beside them are not.
#[test]
fn modules_gems_and_artefacts_are_shown_without_their_credentials() {
    let files = Files::new();
    let home = files.home();
    write(home, "go/pkg/mod/example.org/a@v1.0.0/a.go", "package a\n");
    write(home, ".gem/ruby/3.1.0/gems/a/a.rb", "");
    write(home, ".gem/credentials", "secret");
    write(home, ".m2/repository/a/a.jar", "");
    write(home, ".m2/settings.xml", "secret");
    let shown = toolchain::discover(&files.host, &files.project());
    let targets: Vec<&Path> = shown
        .exposed
        .iter()
        .map(|it| it.mount.target.as_path())
        .collect();
    for dir in ["go/pkg/mod", ".gem/ruby", ".m2/repository"] {
        assert!(
            targets.contains(&home.join(dir).as_path()),
            "{dir}: {targets:?}"
        );
    }
    for secret in [".gem/credentials", ".m2/settings.xml"] {
        let secret = home.join(secret);
        assert!(
            !targets.iter().any(|it| secret.starts_with(it)),
            "{targets:?}"
        );
    }
    assert!(shown.exposed.iter().all(|it| !it.mount.writable));
}
