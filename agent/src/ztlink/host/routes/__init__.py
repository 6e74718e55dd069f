"""Routes that the operator declares: what they mean, whom they must not harm, kept in place."""
