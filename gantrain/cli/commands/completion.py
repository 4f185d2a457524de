"""``gantrain completion bash|zsh|fish``."""

from __future__ import annotations

from gantrain.cli.completion import SHELLS, for_bash, offers, quoted, read_line
from gantrain.errors import ConfigError, suggest

# Each script asks ``gantrain completion offers SHELL …`` at every Tab, so that it never falls behind the program.
SCRIPTS = {
    "bash": r"""
_gantrain() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <("${COMP_WORDS[0]/#\~/$HOME}" completion offers bash \
        "${COMP_LINE:0:$COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -o nospace -o nosort -F _gantrain gantrain 2>/dev/null || complete -o nospace -F _gantrain gantrain
""",
    "zsh": r"""
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_gantrain() {
    local offer typed="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX"
    local -a open open_said done done_said
    for offer in "${(@f)$(${~words[1]} completion offers zsh $typed 2>/dev/null)}"; do
        case ${offer%%$'\t'*} in
            '') ;;
            *[=/.]) open+=("${offer%%$'\t'*}") open_said+=("${offer/$'\t'/  }") ;;
            *) done+=("${offer%%$'\t'*}") done_said+=("${offer/$'\t'/  }") ;;
        esac
    done
    (( $#done )) && compadd -Q -l -V gantrain -d done_said -a done
    (( $#open )) && compadd -Q -l -V gantrain -d open_said -S '' -a open
}
compdef _gantrain gantrain
""",
    "fish": r"""
function __gantrain_offers
    set -l words (commandline -opc)
    command $words[1] completion offers fish (commandline -cp | string collect) 2>/dev/null
end
complete -c gantrain -f -k -a '(__gantrain_offers)'
""",
}


def completion(argv: list[str]) -> int:
    """Print the script that makes a shell complete ``gantrain``, or answer that script."""
    if argv[:1] == ["offers"]:
        return _answer(*argv[1:4])
    if len(argv) != 1:
        what = "names no shell" if not argv else f"takes one shell, got {' '.join(argv)}"
        raise ConfigError("completion", what, f"choose from {', '.join(SHELLS)}")
    if argv[0] not in SCRIPTS:
        raise ConfigError("completion", f"no script for {argv[0]!r}", suggest(argv[0], SHELLS))
    print(SCRIPTS[argv[0]].strip())
    return 0


def _answer(shell: str, line: str, breaks: str = "") -> int:
    """Print one offer a line: for bash what it inserts, for the others the word, a tab, and what it is."""
    if shell == "bash":
        print("\n".join(for_bash(line, breaks)))
        return 0
    words, _, quote = read_line(line)
    for offer, text in offers(words[1:]).items():
        print(f"{quoted(offer) if shell == 'zsh' and not quote else offer}\t{text}")
    return 0
