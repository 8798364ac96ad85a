"""Prints a mail file as JSON, read by Python's email package and openssl: python3 mail.py FILE ANCHORS."""
import base64
import email
import email.policy
import email.utils
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml


def openssl(*arguments):
    return subprocess.run(['openssl', *arguments], check=True, capture_output=True).stdout


def tree(element):
    """A leaf is its text; an element with children is a list of [name, attributes, tree]."""
    if len(element) == 0:
        return element.text
    return [[one.tag, one.attrib, tree(one)] for one in element]


def signature(file, anchors):
    """The signed entity, as bytes with CRLF, and what the SignerInfo says."""
    with tempfile.NamedTemporaryFile() as content:
        openssl('cms', '-verify', '-in', file, '-CAfile', anchors, '-out', content.name)
        entity = content.read()
    printed = openssl('cms', '-cmsout', '-print', '-in', file, '-out', '/dev/stdout').decode()
    time = re.search(r'UTCTIME:(.+)', printed[printed.index('signerInfos'):]).group(1)
    digest = re.search(r'digestAlgorithm:\s+algorithm: (\S+)', printed[printed.index('signerInfos'):]).group(1)
    return entity, {'time': email.utils.parsedate_to_datetime(re.sub(r'^(\S+) +(\S+) (\S+) (\S+) GMT', r'\2 \1 \4 \3 +0000', time.strip())).timestamp(), 'digest': digest}


def structure(message):
    if message.is_multipart() and message.get_content_type() != 'message/rfc822':
        return [message.get_content_type(), [structure(part) for part in message.iter_parts()]]
    return [message.get_content_type(), message.get_filename()]


def main(file, anchors):
    with open(file, 'rb') as opened:
        whole = opened.read()
    message = email.message_from_bytes(whole, policy=email.policy.default)
    found = {'header': [[name, str(value)] for name, value in message.items()], 'structure': structure(message)}
    found['date'] = message['Date'].datetime.timestamp()
    if message.get_content_type() == 'multipart/signed':
        entity, found['signature'] = signature(file, anchors)
        signed = email.message_from_bytes(entity, policy=email.policy.default)
        found['structure'] = structure(signed)
        found['text'] = signed.get_body(('plain',)).get_content().replace('\r\n', '\n')
        found['html'] = signed.get_body(('html',)).get_content()
        for part in signed.iter_parts():
            if part.get_filename() == 'daticert.xml':
                data = part.get_payload(decode=True)
                found['xml'] = data.decode()
                root = xml.fromstring(data)
                found['certified'] = ['postacert', root.attrib, tree(root)]
            if part.get_filename() == 'postacert.eml':
                # From the bytes: the email package would write them anew.
                name = re.escape(signed.get_boundary()).encode()
                raw = re.split(rb'\r\n--' + name + rb'(?:--)?[ \t]*(?:\r\n|$)', entity)[-2]
                found['original'] = base64.b64encode(raw.split(b'\r\n\r\n', 1)[1]).decode()
    print(json.dumps(found))


main(*sys.argv[1:])
