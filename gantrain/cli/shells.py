"""What shells need for completion: their scripts, and their rules for splitting and quoting words."""

import re

from gantrain.cli.completion import offers

# Each script calls ``gantrain completion offers SHELL …`` at every Tab, so that it never falls behind the program.
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
    local -a open open_help done done_help
    for offer in "${(@f)$(${~words[1]} completion offers zsh $typed 2>/dev/null)}"; do
        case ${offer%%$'\t'*} in
            '') ;;
            *[=/.]) open+=("${offer%%$'\t'*}") open_help+=("${offer/$'\t'/  }") ;;
            *) done+=("${offer%%$'\t'*}") done_help+=("${offer/$'\t'/  }") ;;
        esac
    done
    (( $#done )) && compadd -Q -l -V gantrain -d done_help -a done
    (( $#open )) && compadd -Q -l -V gantrain -d open_help -S '' -a open
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


def read_line(line: str) -> tuple[list[str], int, str]:
    """Split the line up to the cursor as a shell does; shlex refuses a quote that is still open.

    Returns:
        The words without quotes, the last being typed; how much of that one precedes an open quote; and that quote,
        or an empty string.
    """
    words: list[str] = []
    word, quote, opened, begun = "", "", 0, False  # begun: even by a pair of quotes with nothing between
    chars = iter(line)
    for char in chars:
        if quote and char == quote:
            quote = ""
        elif char == "\\" and quote != "'":  # the last character of the line stands for itself
            word, begun = word + next(chars, char), True
        elif quote:
            word += char
        elif char in "'\"":
            quote, opened, begun = char, len(word), True
        elif char.isspace():
            words, word, begun = [*words, word] if begun else words, "", False
        else:
            word, begun = word + char, True
    return [*words, word], opened if quote else 0, quote


def bash_replies(line: str, breaks: str) -> list[str]:
    """Return what bash puts after the last of its COMP_WORDBREAKS in the word, with quotes or a closing space."""
    words, opened, quote = read_line(line)
    start = opened if quote else 1 + max((words[-1].rfind(c) for c in breaks if not c.isspace()), default=-1)
    found = offers(words[1:])
    if quote:
        return [offer[start:] for offer in found]
    return [escape(offer[start:]) + " " * (not offer.endswith(("=", "/", "."))) for offer in found]


def escape(word: str) -> str:
    """Return a word with a backslash before each character that means something to a shell."""
    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)
