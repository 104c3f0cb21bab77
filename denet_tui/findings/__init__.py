"""What stands out in a run, said as a colleague would say it: the rules, and which of them speak."""
