"""TCP (RFC 9293): segments and time go in; super-segments and events come out."""
