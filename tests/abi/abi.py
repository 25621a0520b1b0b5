"""What the gates of the plugin ABI share: the headers, the compilers, what a header publishes."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / 'tests/abi'
INCLUDE = ROOT / 'sdk/include'
TOOLS = {'gcc': 'gcc', 'g++': 'g++', 'clang': 'clang', 'clang++': 'clang', 'abidw': 'abigail-tools', 'abidiff': 'abigail-tools',
         'nm': 'binutils', 'readelf': 'binutils', 'cmake': 'cmake', 'pkg-config': 'pkg-config'}
C_STANDARDS = ('c11', 'c17')
WARNINGS = ['-Wall', '-Wextra', '-pedantic', '-Werror']


class Failed(Exception):
    """A gate is not passed; the text says what and how to fix it."""


class Broken(Failed):
    """A command did not work at all."""


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Failed(f"'{tool}' is missing: install the package {TOOLS[tool]}")


def run(*command, **options):
    """Output of a command that must succeed."""
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(gate, doc):
    """Run a gate as a program: its arguments are words it looks for itself."""
    if '--help' in sys.argv:
        print(doc)
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix='mortise-abi-') as folder:
            gate(pathlib.Path(folder), sys.argv[1:])
    except Failed as e:
        print(f'{os.path.basename(sys.argv[0])}: {e}', file=sys.stderr)
        return 1
    print(f'{os.path.basename(sys.argv[0])}: passed')
    return 0


def copy_headers(folder):
    """A copy of the headers to be spoilt."""
    include = folder / 'include'
    shutil.copytree(INCLUDE, include)
    return include


def edit(path, old, new):
    text = path.read_text()
    if text.count(old) != 1:
        raise Failed(f"{path.name}: {text.count(old)} times '{old}', so this seed no longer fits")
    path.write_text(text.replace(old, new))


# ---- what plugin.h publishes -----------------------------------------------

def preprocess(include, *options):
    return run('gcc', '-std=c11', '-E', '-P', f'-I{include}', *options, '-x', 'c', '-', input='#include <mortise/plugin.h>\n')


def split_members(body):
    member, depth = '', 0
    for c in body:
        depth += (c == '(') - (c == ')')
        if c == ';' and depth == 0:
            yield ' '.join(member.split())
            member = ''
        else:
            member += c


def structs(include):
    """{struct: [member]} of everything that plugin.h defines, in its order."""
    text = preprocess(include)
    found = {}
    for m in re.finditer(r'\bstruct\s+(mortise_\w+)\s*\{', text):
        end = text.index('}', m.end())
        names = []
        for member in split_members(text[m.end():end]):
            for part in [member] if '(' in member else member.split(','):
                name = re.search(r'\(\s*\*\s*(\w+)\s*\)', part) or re.search(r'(\w+)\s*(?:\[[^]]*\])?$', part)
                names.append(name.group(1))
        found[m.group(1)] = names
    if 'mortise_core_1' not in found or found['mortise_str'] != ['data', 'size']:
        raise Failed('the structs of plugin.h cannot be read any more')
    return found


def constants(include, *options):
    """{macro: body} of the object-like macros of plugin.h, without guards."""
    found = {}
    for line in preprocess(include, '-dM', *options).splitlines():
        m = re.match(r'#define (MORTISE_\w+) (.+)', line)
        if m and m.group(1) != 'MORTISE_ABI':
            found[m.group(1)] = m.group(2)
    return found


def interfaces(include):
    """[(name, id, side, abi)] of interfaces.def."""
    text = (include / 'mortise/interfaces.def').read_text()
    return re.findall(r'^X\((\w+), "([^"]+)", (\w+), (0x[0-9a-f]{4})\)$', text, re.M)


def write_witness(include, source):
    """Exported objects of every published type: what abidiff compares, since it does not see a type that is
    only reached through a void pointer."""
    lines = ['#include <mortise/plugin.h>']
    lines += [f'extern struct {s} witness_{s};\nstruct {s} witness_{s};' for s in structs(include)]
    source.write_text('\n'.join(lines) + '\n')


def layout(include, folder, compiler, standard):
    """Every id, constant, size and offset, as this compiler sees them."""
    lines = ['#include <mortise/plugin.h>', '#include <stdio.h>', '#ifdef __cplusplus', '#define ALIGN alignof', '#else',
             '#define ALIGN _Alignof', '#endif', 'int main(void)', '{']
    for name, ident, side, abi in interfaces(include):
        lines.append(f'printf("id {name} {ident} {side} {abi}\\n");')
    for name, body in sorted(constants(include).items()):
        if body.startswith('"'):
            lines.append(f'printf("text {name} %s\\n", {name});')
        else:
            lines.append(f'printf("number {name} %lld\\n", (long long)({name}));')
    for struct, members in structs(include).items():
        lines.append(f'printf("struct {struct} size %zu align %zu\\n", sizeof(struct {struct}), ALIGN(struct {struct}));')
        for m in members:
            lines.append(f'printf("member {struct}.{m} offset %zu size %zu\\n", offsetof(struct {struct}, {m}), '
                         f'sizeof(((struct {struct} *)0)->{m}));')
    lines += ['return 0;', '}']
    source = folder / ('layout.cc' if '+' in compiler else 'layout.c')
    source.write_text('\n'.join(lines) + '\n')
    program = folder / f'layout-{compiler}-{standard}'
    run(compiler, f'-std={standard}', f'-I{include}', source, '-o', program)
    return run(program)
