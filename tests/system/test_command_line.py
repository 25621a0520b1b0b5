"""The command line's manners, without a host."""
import json
import os
import pty
import re
import subprocess

from conftest import BIN, run


def test_help_lists_every_command_and_each_has_help_of_its_own():
    overview = run('help').stdout
    commands = re.findall(r'^  ([a-z-]+(?: [a-z-]+)*?) (?: |[A-Z\[])', overview, re.M)
    assert {'up', 'down', 'plugin install', 'package build', 'trust add', 'top', 'history'} <= set(commands)
    for command in commands:
        done = run(*command.split(), '--help')
        assert done.returncode == 0 and f'mortise {command}' in done.stdout, command


def test_a_typing_error_is_answered_with_a_suggestion():
    for typed, meant in (('plugin lst', 'plugin list'), ('packge build x', 'package build'), ('hsitory', 'history'), ('plugn', 'plugin'),
                         ('plugin secret lst x', 'plugin secret list'), ('team membr add x y', 'team member add')):
        done = run(*typed.split())
        assert done.returncode == 2 and f"did you mean 'mortise {meant}" in done.stderr, done.stderr


def test_words_that_begin_several_commands_have_help_of_their_own():
    for group, inside, outside in (('plugin secret', 'plugin secret set', 'plugin list'), ('team member', 'team member add', 'team list'),
                                   ('key', 'key generate', 'key-ring list')):
        shown = run('help', *group.split())
        assert shown.returncode == 0 and f'  {inside} ' in shown.stdout and f'  {outside} ' not in shown.stdout
        assert run(*group.split(), '--help').stdout == shown.stdout
        done = run(*group.split())
        assert done.returncode == 2 and f"'mortise {group}' needs a subcommand" in done.stderr


def test_wrong_usage_exits_2_and_says_what_why_and_how():
    for args in (['plugin', 'install'], ['plugin', 'list', '--nope'], ['top', 'x'], ['plugin'],
                 ['api-key', 'create', 'x', '--days', 'soon'], ['api', 'GET', '/v1/x y'], ['plugin', 'install', 'x', '-m']):
        done = run(*args)
        assert done.returncode == 2, args
        assert 'fix' in done.stderr and 'mortise help MRT-' in done.stderr


def test_errors_are_documented():
    for code in re.findall(r'^(MRT-\d+)', run('help', 'errors').stdout, re.M):
        text = run('help', code).stdout
        assert re.search(r'fix +\S', text) and re.search(r'exit code +\d', text), code
    assert run('help', 'MRT-0000').returncode == 5


def test_no_host_exits_75_with_json_error(tmp_path):
    done = run('plugin', 'list', '--json', data=tmp_path)
    assert done.returncode == 75 and done.stdout == ''
    assert json.loads(done.stderr)['error']['name'] == 'UNREACHABLE'
    done = run('plugin', 'list', env={'MORTISE_HOST': '127.0.0.1:1'})
    assert done.returncode == 75


def test_every_setting_is_shown_with_its_variable():
    text = run('help', 'settings').stdout
    assert 'MORTISE_LISTEN' in text and '--worker-stall-ms' in text


def on_terminal(*args, env):
    """What the command writes when stdout and stderr are a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BIN / 'mortise', *args], stdin=slave, stdout=slave, stderr=slave,
                               env={'PATH': os.environ['PATH'], 'HOME': '/', **env}, close_fds=True)
    os.close(slave)
    output = b''
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    process.wait()
    os.close(master)
    return output


def test_colour_only_on_a_terminal_that_wants_it():
    assert b'\033[' in on_terminal('help', env={'TERM': 'xterm'})
    assert b'\033[' not in on_terminal('help', env={'TERM': 'dumb'})
    assert b'\033[' not in on_terminal('help', env={'TERM': 'xterm', 'NO_COLOR': '1'})
    assert '\033[' not in run('help', env={'TERM': 'xterm'}).stdout


def test_output_that_cannot_be_written_is_no_success():
    with open('/dev/full', 'w') as full:
        done = subprocess.run([BIN / 'mortise', 'help'], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1


def test_the_manual_page_is_what_the_commands_say():
    from conftest import SOURCE
    assert run('help', 'man').stdout == (SOURCE / 'packaging/man/mortise.1').read_text(), \
        'run: build/bin/mortise help man > packaging/man/mortise.1'


def test_wrong_usage_names_the_help_of_its_command(host):
    """Also where the command itself finds what is wrong."""
    for words in (('user', 'create', 'x'), ('user', 'create'), ('user', 'create', '--nope'), ('mfa', 'enroll', '--method', 'fax')):
        done = host.cli(*words)
        assert done.returncode == 2 and f"see 'mortise {words[0]} {words[1]} --help'" in done.stderr, done.stderr
