//! The example, run as a program, against the system's `sha256sum` and `find`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in helpers too")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use harness::watchdog;
use tempfile::TempDir;

/// Of the empty input.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn checksum() -> Command {
    Command::new(env!("CARGO_BIN_EXE_checksum"))
}

/// Waits for the end, by itself.
fn finish(child: Child) -> Output {
    let _watchdog = watchdog(&child);
    child.wait_with_output().unwrap()
}

fn run(command: &mut Command) -> Output {
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Runs it in a directory, and expects success.
fn sums(directory: &Path, args: &[&str]) -> BTreeSet<OsString> {
    let output = run(checksum().args(args).current_dir(directory));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    lines(&output)
}

/// Every line of standard output; none comes twice.
fn lines(output: &Output) -> BTreeSet<OsString> {
    let all: Vec<_> =
        output.stdout.split_inclusive(|&byte| byte == b'\n').map(|l| OsString::from_vec(l.to_vec())).collect();
    let different = BTreeSet::from_iter(all.iter().cloned());
    assert_eq!(different.len(), all.len());
    different
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `find PATH… -type f` lists, through `sha256sum`.
fn expected(directory: &Path, paths: &[&str]) -> BTreeSet<OsString> {
    let find = "find \"$@\" -type f -exec sha256sum -- {} +";
    let output = run(Command::new("sh").args(["-c", find, "sh"]).args(paths).current_dir(directory));
    assert!(output.status.success(), "{}", stderr(&output));
    lines(&output)
}

fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Some directories, three levels of them, with files at every level.
fn ordinary() -> TempDir {
    let top = tempfile::tempdir().unwrap();
    for n in 0..200_usize {
        write(top.path().join(format!("{}/{}/file-{n}", n % 3, n % 7)), "content ".repeat(n));
        write(top.path().join(format!("{}/file-{n}", n % 3)), n.to_string());
    }
    write(top.path().join("empty"), "");
    fs::create_dir(top.path().join("nothing-in-it")).unwrap();
    top
}

#[test]
fn prints_what_sha256sum_prints() {
    let top = ordinary();
    let found = sums(top.path(), &["."]);
    assert_eq!(found.len(), 401);
    assert_eq!(found, expected(top.path(), &["."]));
    assert!(found.contains(OsStr::new(&format!("{EMPTY}  ./empty\n"))));
}

#[test]
fn any_number_of_workers_prints_the_same() {
    let top = ordinary();
    let one = sums(top.path(), &["--workers", "1", "."]);
    assert_eq!(one, sums(top.path(), &["--workers", "7", "."]));
}

#[test]
fn names_begin_as_the_arguments_do() {
    let top = ordinary();
    for args in [&["0", "1/", "./2//"][..], &["empty", "0/file-3"], &["0/../1/.", "nothing-in-it"]] {
        assert_eq!(sums(top.path(), args), expected(top.path(), args), "{args:?}");
    }
    let absolute = top.path().to_str().unwrap();
    assert_eq!(sums(Path::new("/"), &[absolute]), expected(Path::new("/"), &[absolute]));
}

#[test]
fn sha256sum_accepts_its_output() {
    let top = ordinary();
    write(top.path().join("a line\nand another \\ here"), "odd");
    let output = run(checksum().arg(".").current_dir(top.path()));
    fs::write(top.path().join("sums"), output.stdout).unwrap();
    let check = run(Command::new("sha256sum").args(["-c", "--quiet", "sums"]).current_dir(top.path()));
    assert!(check.status.success(), "{}", stderr(&check));
}

#[test]
fn odd_names_come_out_as_sha256sum_writes_them() {
    let top = tempfile::tempdir().unwrap();
    let names: [&[u8]; 7] =
        [b"new\nline", b"back\\slash", b"-dash", b" spaces ", b"tab\t", "ümläut".as_bytes(), b"\\\n\\"];
    for name in names {
        write(top.path().join(OsStr::from_bytes(name)), name);
    }
    assert_eq!(sums(top.path(), &["."]).len(), names.len());
    assert_eq!(sums(top.path(), &["."]), expected(top.path(), &["."]));
    assert_eq!(sums(top.path(), &["--", "-dash"]).len(), 1);
}

/// Not every file system takes such names, and not every `sha256sum` escapes a carriage return
/// (coreutils 9 does), so this says what to expect.
#[test]
fn names_are_bytes_and_stay_on_their_line() {
    let top = tempfile::tempdir().unwrap();
    write(top.path().join("carriage\rreturn"), "");
    let mut right = BTreeSet::from([OsString::from(format!("\\{EMPTY}  ./carriage\\rreturn\n"))]);
    if File::create(top.path().join(OsStr::from_bytes(b"not \xff UTF-8"))).is_ok() {
        let line = [EMPTY.as_bytes(), b"  ./not \xff UTF-8\n"].concat();
        right.insert(OsString::from_vec(line));
    }
    assert_eq!(sums(top.path(), &["."]), right);
}

#[test]
fn links_are_followed_only_as_arguments() {
    let top = tempfile::tempdir().unwrap();
    write(top.path().join("real/file"), "content");
    symlink("file", top.path().join("real/link-to-file")).unwrap();
    symlink("..", top.path().join("real/loop")).unwrap();
    symlink("nowhere", top.path().join("real/dangling")).unwrap();
    symlink("real", top.path().join("link")).unwrap();
    assert_eq!(sums(top.path(), &["."]), expected(top.path(), &["."]));

    let names = |args| sums(top.path(), args).into_iter().map(|line| line.into_string().unwrap()[66..].to_owned());
    assert_eq!(Vec::from_iter(names(&["link"])), ["link/file\n"]);
    assert_eq!(Vec::from_iter(names(&["real/loop"])), ["real/loop/real/file\n"]);
    assert_eq!(Vec::from_iter(names(&["real/link-to-file"])), ["real/link-to-file\n"]);
}

#[test]
fn only_regular_files_are_read() {
    let top = tempfile::tempdir().unwrap();
    write(top.path().join("file"), "content");
    let _socket = UnixListener::bind(top.path().join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(top.path().join("pipe")).status().unwrap().success());
    assert_eq!(sums(top.path(), &["."]), expected(top.path(), &["."]));

    let output = run(checksum().args(["pipe", "socket", "/dev/null", "file"]).current_dir(top.path()));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), expected(top.path(), &["file"]));
    for name in ["pipe", "socket", "/dev/null"] {
        let message = format!("checksum: {name}: not a regular file or directory\n");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
}

#[test]
fn errors_do_not_stop_the_rest() {
    let top = ordinary();
    symlink("nowhere", top.path().join("dangling")).unwrap();
    let output = run(checksum().args(["no\nsuch", "0", "dangling", "1"]).current_dir(top.path()));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), expected(top.path(), &["0", "1"]));
    for name in ["no\\nsuch", "dangling"] {
        let message = format!("checksum: {name}: No such file or directory");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
    assert!(stderr(&output).ends_with("0 redelivered, 2 errors\n"), "{}", stderr(&output));
}

#[test]
fn what_may_not_be_read_is_reported() {
    let top = ordinary();
    write(top.path().join("0/secret"), "");
    write(top.path().join("secrets/file"), "");
    fs::set_permissions(top.path().join("0/secret"), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(top.path().join("secrets"), Permissions::from_mode(0o000)).unwrap();
    let all_powerful = File::open(top.path().join("0/secret")).is_ok();
    let output = run(checksum().arg(".").current_dir(top.path()));
    fs::set_permissions(top.path().join("secrets"), Permissions::from_mode(0o700)).unwrap();
    if all_powerful {
        return; // root reads everything
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 401);
    for name in ["./0/secret", "./secrets"] {
        let message = format!("checksum: {name}: Permission denied");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
}

#[test]
fn misuse_is_explained() {
    for args in [&[][..], &["--workers", "0", "."], &["--workers", "many", "."], &["--wrkers", "1", "."]] {
        let output = run(checksum().args(args));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).contains("error: "), "{}", stderr(&output));
    }
}

#[test]
fn the_summary_counts() {
    let top = tempfile::tempdir().unwrap();
    write(top.path().join("a"), "12345");
    write(top.path().join("b/c"), "678");
    let output = run(checksum().arg(".").current_dir(top.path()));
    let summary = stderr(&output);
    assert!(summary.starts_with("2 files, 8 bytes, "), "{summary}");
    assert!(summary.ends_with(" MB/s, 0 redelivered, 0 errors\n"), "{summary}");
}

#[test]
fn a_large_file_is_read_to_its_end() {
    let top = tempfile::tempdir().unwrap();
    let content = Vec::from_iter((0..5_000_001_u32).map(|n| (n ^ (n >> 9)) as u8));
    write(top.path().join("large"), content);
    assert_eq!(sums(top.path(), &["large"]), expected(top.path(), &["large"]));
}

#[test]
fn a_deep_tree_is_walked_to_its_end() {
    let top = tempfile::tempdir().unwrap();
    let mut path = top.path().to_owned();
    for level in 0..300 {
        path.push("deep");
        fs::create_dir(&path).unwrap();
        write(path.join("file"), level.to_string());
    }
    assert_eq!(sums(top.path(), &["."]), expected(top.path(), &["."]));
}

/// More than the workers let the queue hold, so they do part of it on the spot; and some of that
/// is deeper than one of them walks alone.
#[test]
fn a_wide_tree_is_shared_and_walked() {
    let top = tempfile::tempdir().unwrap();
    for n in 0..3000 {
        write(top.path().join(format!("flat/file-{n}")), n.to_string());
        write(top.path().join(format!("deep/{n}/file")), n.to_string());
    }
    for n in 0..100 {
        write(top.path().join(format!("deep/{n}/a/b/c/d/e/f/g/h/i/j/file")), n.to_string());
    }
    for args in [["--workers", "1", "."], ["--workers", "3", "."]] {
        assert_eq!(sums(top.path(), &args), expected(top.path(), &["."]));
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let top = tempfile::tempdir().unwrap();
    for n in 0..5000 {
        write(top.path().join(format!("{n}")), "");
    }
    let mut child = checksum().arg(top.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(first, EMPTY.as_bytes());
    let output = finish(child);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).lines().count(), 1, "the summary, and nothing else: {}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let top = ordinary();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = checksum().arg(top.path()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("checksum: standard output: No space left on device"), "{}", stderr(&output));
}

#[test]
fn an_empty_argument_is_an_error_and_no_more() {
    let top = tempfile::tempdir().unwrap();
    write(top.path().join("a"), "1");
    let output = run(checksum().args(["", "a"]).current_dir(top.path()));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), expected(top.path(), &["a"]));
    let errors = stderr(&output);
    assert!(errors.starts_with("checksum: '': No such file or directory"), "{errors}");
    // One is one.
    let summary = errors.lines().last().unwrap();
    assert!(summary.starts_with("1 file, 1 byte, ") && summary.ends_with(", 1 error"), "{summary}");
}

#[test]
fn what_is_printed_may_be_thrown_away() {
    let top = ordinary();
    for read in [false, true] {
        let null = fs::OpenOptions::new().read(read).write(true).open("/dev/null").unwrap();
        let child = checksum().arg(top.path()).stdout(null).stderr(Stdio::piped()).spawn().unwrap();
        let output = finish(child);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

/// Stops the only worker in the middle of a large file, when it has listed the directory and opened nothing
/// in it; `false` if it was not seen there.
#[cfg(target_os = "linux")]
fn stop_after_the_list(child: &Child, large: &Path) -> bool {
    // A process that has ended, and is waited for, has none.
    let files = || {
        let files = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        Vec::from_iter(files.filter_map(|file| fs::read_link(file.path()).ok()))
    };
    let (is_open, ended) = (|| files().iter().any(|file| file == large), || files().is_empty());
    while !is_open() {
        if ended() {
            return false;
        }
        thread::yield_now();
    }
    Command::new("kill").args(["-STOP", &child.id().to_string()]).status().unwrap();
    let stat = || fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    while !stat().contains(") T ") && !ended() {
        thread::yield_now();
    }
    is_open()
}

/// Neither a pipe keeps it, nor does a link lead it out of the tree.
#[cfg(target_os = "linux")]
#[test]
fn what_takes_the_place_of_what_was_listed_is_not_opened_as_that() {
    let mkfifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    for megabytes in [64, 256, 1024] {
        let top = tempfile::tempdir().unwrap();
        let path = &fs::canonicalize(top.path()).unwrap();
        write(path.join("outside/secret"), "secret");
        for name in ["stays", "file-pipe", "file-link", "dir-pipe/file", "dir-link/file"] {
            write(path.join("tree").join(name), name);
        }
        File::create(path.join("large")).unwrap().set_len(megabytes << 20).unwrap();
        let mut checksum = checksum();
        let child = checksum.args(["--workers", "1", "tree", "large"]).current_dir(path);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stopped = stop_after_the_list(&child, &path.join("large"));
        if stopped {
            let tree = path.join("tree");
            for name in ["file-pipe", "file-link"] {
                fs::remove_file(tree.join(name)).unwrap();
            }
            for name in ["dir-pipe", "dir-link"] {
                fs::remove_dir_all(tree.join(name)).unwrap();
            }
            mkfifo(&tree.join("file-pipe"));
            mkfifo(&tree.join("dir-pipe"));
            symlink("../outside/secret", tree.join("file-link")).unwrap();
            symlink("../outside", tree.join("dir-link")).unwrap();
        }
        Command::new("kill").args(["-CONT", &child.id().to_string()]).status().unwrap();
        let output = finish(child);
        if !stopped {
            continue; // it was faster than we were: with a larger file we have more time
        }
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(lines(&output), expected(path, &["tree/stays", "large"]));
        let errors = stderr(&output);
        for (name, reason) in [
            ("file-pipe", "not a regular file any more"),
            ("file-link", "Too many levels of symbolic links"),
            ("dir-pipe", "Not a directory"),
            ("dir-link", "Not a directory"),
        ] {
            assert!(errors.contains(&format!("checksum: tree/{name}: {reason}")), "{errors}");
        }
        return;
    }
    panic!("it was never seen in the middle of a file");
}
