"""What manual pages and the references of the guide share: the programs' own tables, and pages that begin with a head written by hand."""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def rows(*command):
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def main(folder, ending, pages):
    """Arguments: REEVED REEVECTL OUTPUT_DIRECTORY. Write each page of PAGES(REEVED, REEVECTL): its head in FOLDER and what follows."""
    reeved, reevectl, output = sys.argv[1:]
    for page, generated in pages(reeved, reevectl).items():
        text = (HERE / folder / f"{page}.head").read_text(encoding="utf-8") + "".join(generated)
        (pathlib.Path(output) / f"{page}.{ending}").write_text(text.rstrip() + "\n", encoding="utf-8")
