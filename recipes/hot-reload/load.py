"""Send requests for some seconds from eight threads, and tell which versions answered: load.py URL SECONDS"""

import sys
import threading
import time
from collections import Counter

import requests

url, seconds = sys.argv[1], float(sys.argv[2])
seen, end = Counter(), time.monotonic() + seconds


def client():
    while time.monotonic() < end:
        try:
            answer = requests.get(url, timeout=10)
            seen[f"version {answer.headers['X-Version']}" if answer.status_code == 200 else "failed"] += 1
        except requests.RequestException:
            seen["failed"] += 1
        time.sleep(0.02)


threads = [threading.Thread(target=client) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("answered by", " and ".join(sorted(name for name in seen if name != "failed")))
print("failed:", seen["failed"])
