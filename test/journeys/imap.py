"""What a mail client sees: python3 imap.py PORT USER PASSWORD SENT. Appends the file SENT, prints threads and attachments as JSON."""
import email
import email.policy
import imaplib
import json
import re
import sys

port, user, password, sent = sys.argv[1:]
with open(sent, 'rb') as file:
    original = file.read()

client = imaplib.IMAP4('127.0.0.1', int(port))
client.login(user, password)
client.append('INBOX', None, None, original)
client.select('INBOX', readonly=True)
threads = client.thread('REFERENCES', 'UTF-8', 'ALL')[1][0].decode()
messages = {}
for number in client.search(None, 'ALL')[1][0].decode().split():
    structure = client.fetch(number, '(BODYSTRUCTURE)')[1]
    header = client.fetch(number, '(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])')[1][0][1]
    fields = email.message_from_bytes(header, policy=email.policy.default)
    # A literal in a reply comes as a tuple.
    text = b' '.join(part if isinstance(part, bytes) else b' '.join(part) for part in structure).decode()
    messages[number] = {
        'subject': str(fields['Subject']),
        'from': str(fields['From']),
        'names': re.findall(r'"FILENAME" "([^"]*)"', text, re.IGNORECASE),
    }
client.logout()
print(json.dumps({'threads': threads, 'messages': messages}))
