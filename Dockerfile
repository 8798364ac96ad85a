# pecd in a container: mount the configuration at /etc/pecd, keep the three volumes.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm install --no-save --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
# Among the optional packages is a Node for machines without one: the image has its own.
RUN npm run build \
 && npm prune --omit=dev --no-audit --no-fund \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim
RUN groupadd --system pecd \
 && useradd --system --gid pecd --home-dir /var/lib/pecd --shell /usr/sbin/nologin pecd \
 && install -d -o pecd -g pecd -m 0700 /var/lib/pecd /var/log/pecd /var/spool/pecd
WORKDIR /opt/pecd
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY config ./config
COPY docs ./docs
RUN ln -s /opt/pecd/dist/main.js /usr/local/bin/pecd
USER pecd
VOLUME ["/var/lib/pecd", "/var/log/pecd", "/var/spool/pecd"]
# Submission, SMTP, LMTP, metrics. Docker lets every user of a container bind ports below 1024.
EXPOSE 25 465 587 10024 9587
ENTRYPOINT ["pecd"]
CMD ["run"]
