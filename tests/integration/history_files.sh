#!/bin/bash
# Files and directories that are not what they seem, met by the daemon itself: each is refused or set aside with one
# clear line, nothing is followed, nothing is overwritten, and the exit code tells. None of this needs a load.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "odd files in the state directory" "$cannot_record"
	tests_end
fi
if [[ $(id -u) -ne 0 ]]; then
	skip "odd files in the state directory" "only root can give files away"
	tests_end
fi
state=$work/state good=$work/good target=$work/target

# A history to be damaged: one hot file, closed in order.
run record --state-dir "$good" --duration 100ms
expect "a history to begin with" test "$status" -eq 0
hot=$(basename "$good"/hot-*.db)
echo "not ours" >"$target"
sum=$(md5sum <"$target")

again() { rm -rf "$state" && cp -a "$good" "$state"; }
# refuses WORDS: the recorder does not start, exit 5, says WORDS, and what is not ours is as it was
refuses() {
	run record --state-dir "$state" --duration 100ms
	[[ $status -eq 5 ]] || { echo "exit $status: $(cat "$work/stderr")"; return 1; }
	grep -q -- "$1" "$work/stderr" || { cat "$work/stderr"; return 1; }
	[[ $(md5sum <"$target") == "$sum" ]] || { echo "the target was written"; return 1; }
}
# goes_on WORDS: it starts in spite of it, says WORDS, and makes a hot file of its own
goes_on() {
	run record --state-dir "$state" --duration 100ms
	[[ $status -eq 0 ]] || { echo "exit $status: $(cat "$work/stderr")"; return 1; }
	grep -q -- "$1" "$work/stderr" || { cat "$work/stderr"; return 1; }
	[[ -s $state/hot-000002.db ]] || { ls "$state"; return 1; }
	[[ $(md5sum <"$target") == "$sum" ]] || { echo "the target was written"; return 1; }
}
# passes WORDS: who says what it passes over, and that the answer is incomplete
passes() {
	run who 22 --state-dir "$state" --at now
	[[ $status -eq 3 ]] || { echo "exit $status: $(cat "$work/stderr" "$work/stdout")"; return 1; }
	grep -q -- "$1" "$work/stderr" || { cat "$work/stderr"; return 1; }
}

# ---- the directory ----

rm -rf "$state"; ln -s "$good" "$state"
expect "a symbolic link as directory" refuses "state directory '$state': it is a symbolic link"
rm "$state"; echo x >"$state"
expect "a file as directory" refuses "state directory '$state': Not a directory"
rm "$state"; mkfifo "$state"
expect "a FIFO as directory" refuses "state directory '$state'"
rm "$state"
again; chown nobody "$state"
expect "a directory of somebody else" refuses "it belongs to another user"
expect "who refuses it too" test "$("$portlife" who 22 --at now --state-dir "$state" >/dev/null 2>&1; echo $?)" -eq 5
again; chmod 777 "$state"
expect "a directory that others may write to" refuses "others may write to it"
run record --state-dir "$work/none/state" --duration 100ms
expect "a directory whose parent is missing" test "$status" -eq 5
expect "is named" grep -q "'$work/none/state'" "$work/stderr"

# ---- the lock ----

again; rm "$state/lock"; ln -s "$target" "$state/lock"
expect "a symbolic link as lock" refuses "cannot lock '$state/lock'"
again; rm "$state/lock"; mkfifo "$state/lock"
expect "a FIFO as lock" refuses "cannot lock '$state/lock'"
again; rm "$state/lock"; mkdir "$state/lock"
expect "a directory as lock" refuses "cannot lock '$state/lock'"
again; chown nobody "$state/lock"
expect "a lock of somebody else" refuses "cannot lock '$state/lock'"

# ---- the hot file ----

again; mv "$state/$hot" "$work/moved"; ln -s "$work/moved" "$state/$hot"
expect "a symbolic link as hot file" goes_on "it is a symbolic link"
expect "is not followed" cmp "$work/moved" "$good/$hot"
expect "and who says so" passes "it is a symbolic link"
again; rm "$state/$hot"; mkfifo "$state/$hot"
expect "a FIFO as hot file" goes_on "it is not a regular file"
expect "and who does not wait for it" passes "it is not a regular file"
again; rm "$state/$hot"; mkdir "$state/$hot"
expect "a directory as hot file" goes_on "it is not a regular file"
again; chown nobody "$state/$hot"
expect "a hot file of somebody else" goes_on "it belongs to another user"
expect "is as it was" cmp "$state/$hot" "$good/$hot"
again; ln -s "$target" "$state/$hot-wal"
expect "a symbolic link as its -wal" goes_on "it is a symbolic link"
again; sqlite3 "$state/$hot" 'PRAGMA user_version=99'; cp "$state/$hot" "$work/newer"
expect "a newer version" goes_on "written by a newer version of portlife"
expect "is as it was" cmp "$state/$hot" "$work/newer"
expect "and who says so" passes "written by a newer version of portlife"
for damage in "truncate -s 0" "truncate -s 5000" "cp $target"; do
	again
	$damage "$state/$hot"
	expect "a hot file after '${damage%% *}' is set aside, and recording goes on" goes_on "set aside as '$hot.corrupt'"
	expect "once" test "$(grep -c corrupt "$work/stderr")" -eq 1
	expect "with what was in it" test -e "$state/$hot.corrupt"
done

# ---- what is not ours at all ----

again; cp "$target" "$state/notes.txt"; cp "$target" "$state/hot-1.db"; ln -s /etc/passwd "$state/hot-000009.db.corrupt"
run record --state-dir "$state" --duration 100ms
expect "other files do not matter" test "$status" -eq 0
expect "and are as they were" cmp "$target" "$state/hot-1.db"
expect "also a link" test -L "$state/hot-000009.db.corrupt"
tests_end
