"""Files that are wrong, each with the key, the value and the remedy that is to be told of it."""

from dataclasses import dataclass
from typing import Final

ID: Final = "112972485d000001"
OTHER: Final = "8056c2e21c000001"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong file, and what its message has to hold."""

    name: str
    text: str
    key: str
    value: str
    """Empty where there is none to be shown, or it may be secret."""
    remedy: str


def network(entry: str) -> str:
    """Return a file with one network."""
    return f'networks: [{{id: "{ID}", {entry}}}]'


MISTAKES: Final = (
    Mistake("misspelt key", "prot: 9993", "prot", "", "did you mean port?"),
    Mistake("unknown key", "weather: 1", "weather", "", "there are"),
    Mistake("port in quotes", 'port: "9993"', "port", "'9993'", "should be a valid integer"),
    Mistake("port 0", "port: 0", "port", "0", "greater than or equal to 1"),
    Mistake("port too high", "port: 65536", "port", "65536", "less than or equal to 65535"),
    Mistake("port as truth", "port: true", "port", "True", "should be a valid integer"),
    Mistake("relative home", "home: data", "home", "'data'", "should be an absolute path such as"),
    Mistake("home as number", "home: 5", "home", "5", "should be an absolute path such as"),
    Mistake("relative planet", "planet: x", "planet", "'x'", "should be an absolute path"),
    Mistake("relative identity", "identity: x", "identity", "", "should be an absolute path"),
    Mistake("unknown engine", "engine: fast", "engine", "'fast'", "'auto', 'jit', 'portable'"),
    Mistake("unknown level", "log: {level: loud}", "log.level", "'loud'", "'DEBUG', 'INFO'"),
    Mistake("level in small", "log: {level: info}", "log.level", "'info'", "'DEBUG', 'INFO'"),
    Mistake("unknown format", "log: {format: xml}", "log.format", "'xml'", "'json' or 'console'"),
    Mistake("log as word", "log: DEBUG", "log", "'DEBUG'", "should be keys and values"),
    Mistake("older level", "logLevel: TRACE", "logLevel", "'TRACE'", "'DEBUG', 'INFO'"),
    Mistake(
        "two levels",
        "logLevel: DEBUG\nlog: {level: ERROR}",
        "logLevel",
        "DEBUG",
        "say one, which is log.level",
    ),
    Mistake("unknown end", "onStop: leave", "onStop", "'leave'", "'remove' or 'keep'"),
    Mistake("truth as end", "onStop: true", "onStop", "True", "'remove' or 'keep'"),
    Mistake("name as number", "nodeName: 7", "nodeName", "7", "should be a valid string"),
    Mistake("name in two lines", 'nodeName: "a\\nb"', "nodeName", r"'a\nb'", "in one line"),
    Mistake("http as truth", "http: true", "http", "True", "should be keys and values"),
    Mistake("http port 0", "http: {port: 0}", "http.port", "0", "greater than or equal to 1"),
    Mistake(
        "http on the port of the API",
        "port: 9994",
        "http.port",
        "9994",
        "give http another, such as 9995",
    ),
    Mistake(
        "http address", "http: {address: eth0}", "http.address", "'eth0'", "should be an IP address"
    ),
    Mistake(
        "http address with bits",
        "http: {address: 10.0.0.1/24}",
        "http.address",
        "'10.0.0.1/24'",
        "should be an IP address such as 192.0.2.1",
    ),
    Mistake("http to some", "http: {expose: page}", "http.expose", "'page'", "'health' or 'all'"),
    Mistake("http on by word", "http: {enabled: 'no'}", "http.enabled", "'no'", "valid boolean"),
    Mistake("health of old", "health: {port: 9994}", "health", "", "did you mean http?"),
    Mistake(
        "series by word", "metrics: {perPeer: full}", "metrics.perPeer", "'full'", "valid boolean"
    ),
    Mistake("other names", "metrics: {compat: x}", "metrics.compat", "'x'", "'' or 'zt'"),
    Mistake("dns by word", "dns: {apply: resolved}", "dns.apply", "'resolved'", "valid boolean"),
    Mistake("networks by key", "networks: {a: {}}", "networks", "", "should be a valid list"),
    Mistake("network as word", f'networks: ["{ID}"]', "networks[0]", f"'{ID}'", "keys and values"),
    Mistake(
        "id as number",
        "networks: [{id: 1234567890123456}]",
        "networks[0].id",
        "1234567890123456",
        "put the 16 hex digits in quotes",
    ),
    Mistake("short id", "networks: [{id: abc}]", "networks[0].id", "'abc'", "is not 16 hex digits"),
    Mistake("no id", "networks: [{required: true}]", "networks[0]", "", "either id or idFile"),
    Mistake(
        "id twice",
        f'networks: [{{id: "{ID}", idFile: /etc/id}}]',
        "networks[0]",
        "",
        "either id or idFile",
    ),
    Mistake(
        "network twice",
        f'networks: [{{id: "{ID}"}}, {{id: "{ID}"}}]',
        "networks",
        ID,
        "each should be there once",
    ),
    Mistake(
        "device twice",
        f'networks: [{{id: "{ID}", interfaceName: a}}, {{id: "{OTHER}", interfaceName: a}}]',
        "interfaceName",
        "a",
        "each should be there once",
    ),
    Mistake(
        "long device",
        network("interfaceName: much-too-long-a-name"),
        "networks[0].interfaceName",
        "'much-too-long-a-name'",
        "at most 15 letters",
    ),
    Mistake(
        "device of many",
        network("interfaceName: 'zt*'"),
        "networks[0].interfaceName",
        "'zt*'",
        "at most 15 letters",
    ),
    Mistake(
        "device with slash",
        network("interfaceName: a/b"),
        "networks[0].interfaceName",
        "'a/b'",
        "at most 15 letters",
    ),
    Mistake(
        "permission by word",
        network("allowGlobal: 'yes'"),
        "networks[0].allowGlobal",
        "'yes'",
        "should be a valid boolean",
    ),
    Mistake("misspelt permission", network("allowDns: true"), "allowDns", "", "did you mean"),
    Mistake(
        "required by number", network("required: 1"), "networks[0].required", "1", "valid boolean"
    ),
    Mistake(
        "id in a file that is not there",
        "networks: [{idFile: /nowhere/networkId}]",
        "networks[0].idFile",
        "/nowhere/networkId",
        "it should hold a network's id",
    ),
    Mistake("key twice", "port: 9993\nport: 9994", "port", "", "is there twice"),
    Mistake("a list", "- port: 9993", "config.yaml", "", "should hold keys and values"),
    Mistake("a tab", "http:\n\tport: 1", "line 2", "", "is not YAML"),
    Mistake("a brace", "http: {port: 9994", "line", "", "is not YAML"),
)
"""At least forty; routes, the firewall and the controller have more beside their own tests."""
