"""What `bridge-code` and `bridge-revoke` are given; loads nothing for their help."""

import argparse


def code_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clinic", required=True, metavar="NAME|ID", help="whose devices it will read"
    )
    parser.add_argument(
        "--kind",
        choices=["gateway", "cloud"],
        default="gateway",
        help="a gateway by radio (default), or a vendor's cloud",
    )


def revoke_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bridge", metavar="ID", help="the id it got when it was paired")
