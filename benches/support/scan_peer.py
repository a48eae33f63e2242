"""Scans a table to plain items as people do in Python, twice, and prints the processor time per item of the second scan, in nanoseconds.

    scan_peer.py PORT       needs boto3
"""

import sys
import time

import boto3
from boto3.dynamodb.types import TypeDeserializer

client = boto3.client(
    "dynamodb",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="local",
    aws_access_key_id="bench",
    aws_secret_access_key="bench",
)
plain = TypeDeserializer().deserialize


def scan():
    count = 0
    for page in client.get_paginator("scan").paginate(TableName="PetTracker"):
        for item in page["Items"]:
            {name: plain(value) for name, value in item.items()}
            count += 1
    return count


scan()
begin = time.process_time_ns()
items = scan()
print((time.process_time_ns() - begin) // items)
