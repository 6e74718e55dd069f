"""A name server, as a program of its own; prints each name that it is asked for.

python name_server.py IP OTHERS [NAME=IP ...]    OTHERS: NXDOMAIN or REFUSED, for all other names
"""

import socket
import sys

import dns.message
import dns.rcode
import dns.rrset

LONGEST = 4096


def answer(asked: bytes, others: str, names: dict[str, str]) -> bytes:
    """Return the answer to a query for an address of IPv4."""
    query = dns.message.from_wire(asked)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True)
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    made = dns.message.make_response(query)
    if name not in names:
        made.set_rcode(dns.rcode.from_text(others))
    elif question.rdtype.name == "A":
        made.answer.append(dns.rrset.from_text(question.name, 1, "IN", "A", names[name]))
    return made.to_wire()


def serve(ip: str, others: str, *named: str) -> None:
    """Answer until killed."""
    names = dict(one.split("=") for one in named)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((ip, 53))
        while True:
            asked, who = opened.recvfrom(LONGEST)
            opened.sendto(answer(asked, others, names), who)


if __name__ == "__main__":
    serve(*sys.argv[1:])
